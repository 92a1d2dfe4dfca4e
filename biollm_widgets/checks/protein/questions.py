"""The chosen answers of the protein lesson: what is asked stands in the lesson, what each letter shows stands here."""

from __future__ import annotations

from biollm_widgets.checks.choices import choice
from biollm_widgets.checks.ground import Mistake

# What does a decoder such as ProtGPT2 see when it chooses a token?
decoder = choice(
    "protein.q.decoder",
    "unit 1, “A decoder, not an encoder”",
    "B",
    {
        "A": Mistake("It is taken to see both sides, as an encoder does.", "What comes behind is not written yet."),
        "C": Mistake(
            "It is taken to see the last token alone.", "Change an early residue and look at the bars of unit 3."
        ),
        "D": Mistake(
            "It is taken to look at known proteins while it writes.", "It works without a network and without a file."
        ),
        "E": Mistake("It is taken to fold the protein.", "All that it knows of are tokens and their order."),
    },
    "All tokens before, and none behind: they are not written yet.",
)
# What does a temperature of 0.2 do to what can come next?
temperature = choice(
    "protein.q.temperature",
    "unit 3, “What comes next, and what each setting makes of it”",
    "D",
    {
        "A": Mistake("It is taken to cut tokens off.", "How many tokens are left in the stage of the temperature?"),
        "B": Mistake("It is taken to make the choice more open.", "Move the slider, and read the bits."),
        "C": Mistake(
            "It is taken to say how warm the protein is.", "It divides the scores before they become probabilities."
        ),
        "E": Mistake("It is taken to slow the model down.", "The time for a token is the same."),
    },
    "The likely becomes likelier: all tokens can still come, but the bits go down.",
)
# The chapter's first protein has exactly 100 tokens. What does that say?
cut_off = choice(
    "protein.q.cut_off",
    "unit 4, “Ten proteins: finished or cut off”",
    "A",
    {
        "B": Mistake("It is taken for the protein's own length.", "max_length was 100; is there a mark behind it?"),
        "C": Mistake("Tokens are taken for residues.", "It has 254 residues."),
        "D": Mistake(
            "100 tokens are taken for about 400 residues, as was written.", "254 residues in 100 tokens: 2.6 a token."
        ),
        "E": Mistake("A round number is taken for a sign of quality.", "It is the number that somebody typed."),
    },
    "It was cut off: its end is the limit's, not the model's.",
)
# A design has by far the lowest perplexity. What do you do first?
low_perplexity = choice(
    "protein.q.low_perplexity",
    "unit 6, “Perplexity, and the repeat that fools it”",
    "E",
    {
        "A": Mistake("A low perplexity is taken for a good protein.", "AAAAAAAA is easy to foresee as well."),
        "B": Mistake("It is taken to say that it folds.", "It says how little the model was surprised."),
        "C": Mistake("It is held against another model's number.", "Another tokenizer counts other tokens."),
        "D": Mistake("It is taken to say that it is known already.", "That is a question for an alignment."),
    },
    "Look at the sequence: what repeats itself is easy to foresee.",
)
# “No one has ever seen these before”: what would test that?
novel = choice(
    "protein.q.novel",
    "unit 8, “Never seen before?”",
    "C",
    {
        "A": Mistake(
            "Looking for the very same text is taken to be enough.", "One changed residue, and it is not found."
        ),
        "B": Mistake("The seed is taken to make it new.", "A model can write what it has read, whatever the seed."),
        "D": Mistake("The perplexity is taken to tell.", "A known protein can be surprising, and a new one not."),
        "E": Mistake("Another model's opinion is taken for a search.", "Which proteins is it to be new against?"),
    },
    "Align it with all known proteins, and say how near the nearest is, and against how many.",
)
# Before you order the gene of a design, what comes first?
responsible = choice(
    "protein.q.responsible",
    "unit 10, “What responsible use asks”",
    "B",
    {
        "A": Mistake("A good prediction of its structure is taken for safety.", "A toxin folds well, too."),
        "C": Mistake("What is new is taken to be harmless.", "What is like nothing known is what nobody has tested."),
        "D": Mistake(
            "The responsibility is left to the company that makes the gene.",
            "It screens what it is sent; you know what you made, and why.",
        ),
        "E": Mistake("Keeping it to oneself is taken for care.", "Settings and seeds that are kept let others check."),
    },
    "Compare it with toxins and pathogens, talk to those who are responsible for safety, and keep how it was made.",
)

# “Use the default parameters”: the same line, run with a newer transformers, gives other proteins. Why?
defaults = choice(
    "protein.q.defaults",
    "unit 3, “What comes next, and what each setting makes of it”",
    "D",
    {
        "A": Mistake(
            "The weights are taken to have changed.", "The same file was loaded; what else goes into a choice?"
        ),
        "B": Mistake(
            "The seed alone is taken to matter.", "With a seed, too, a temperature of 0.7 writes other proteins than 1."
        ),
        "C": Mistake(
            "The settings in the line are taken to be all there are.",
            "What about the temperature, which the line does not name?",
        ),
        "E": Mistake("Sampling is taken to be free of settings.", "Move the sliders of unit 3 and read the bits."),
    },
    "What is not set is taken from the library or the model's folder, and that has changed: 1.0 became 0.7.",
)
# Does every protein begin with M because the prompt stands for it?
begins = choice(
    "protein.q.begins",
    "unit 4, “Ten proteins: finished or cut off”",
    "C",
    {
        "A": Mistake(
            "The mark is taken to stand for M.", "Give the prompt to the tokenizer: is there an M in what comes back?"
        ),
        "B": Mistake("The sampling is taken to enforce it.", "Which of the settings knows of a residue?"),
        "D": Mistake("An M is taken to be put in front afterwards.", "Look at the text that the model wrote."),
        "E": Mistake(
            "It is taken to be luck, one in twenty.", "Open What comes next with an empty prompt: what is likely?"
        ),
    },
    "The model has read proteins, and most begin with M; nothing makes it write one.",
)
# “They have the composition of natural proteins, so they are natural-like.”
natural_like = choice(
    "protein.q.natural_like",
    "unit 7, “Composition, properties, and shuffled proteins”",
    "A",
    {
        "B": Mistake("The composition is taken to say that it folds.", "Shuffle the residues: does it still fold?"),
        "C": Mistake("Shares of residues are taken to be hard to get right.", "Twenty dice with the right faces do."),
        "D": Mistake(
            "More digits are taken to settle it.", "A shuffled copy agrees in every digit; what does it lack?"
        ),
        "E": Mistake(
            "Composition is taken to be worthless.", "One that is far off says that something is wrong; and the rest?"
        ),
    },
    "A shuffled copy has the same composition to the last residue, and nobody expects it to be a protein.",
)
# What has to stand beside a FASTA file of designs?
beside = choice(
    "protein.q.beside",
    "unit 10, “What responsible use asks”",
    "E",
    {
        "A": Mistake("The name of the model is taken to be enough.", "Which proteins does it write with no seed?"),
        "B": Mistake("The best number is taken to be enough.", "The best of how many, and against what control?"),
        "C": Mistake(
            "A sequence is taken to explain itself.", "Could somebody make the same ones again, or judge the choice?"
        ),
        "D": Mistake(
            "Settings and seed are taken to be all.", "How were those in the file chosen, and what was not looked at?"
        ),
    },
    "How to make them again, how they were chosen of how many, and what has not been tested.",
)

QUESTIONS = [
    decoder, temperature, defaults, cut_off, begins, low_perplexity, natural_like, novel, responsible, beside,
]  # fmt: skip
