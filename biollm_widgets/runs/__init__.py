"""What a training run tells while it goes: its events, what they add up to, and its stop. Knows no notebook."""
