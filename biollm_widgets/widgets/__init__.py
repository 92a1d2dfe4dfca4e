"""What a learner sees and touches in a notebook: the widgets, and the pictures that stay when they are gone."""
