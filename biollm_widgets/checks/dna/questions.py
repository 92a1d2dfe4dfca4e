"""The chosen answers of the DNA lesson: what is asked stands in the lesson, what each letter shows stands here."""

from __future__ import annotations

from biollm_widgets.checks.choices import choice
from biollm_widgets.checks.ground import Mistake

encoder = choice(
    "dna.q.encoder",
    "unit 3, “The architecture”",
    "C",
    {
        "A": Mistake(
            "It is taken to read from left to right only.",
            "That is what a decoder does; look at the picture of ALiBi: it is the same both ways.",
        ),
        "B": Mistake(
            "It is taken to write the other strand, or any sequence.",
            "What comes out of it is a vector for each token; no token is written.",
        ),
        "D": Mistake(
            "It is taken for the half of a translator that needs the other half.",
            "The embeddings of unit 5 are made without a decoder.",
        ),
        "E": Mistake(
            "It is taken for a name for compression.", "For 17 tokens it gives 17 vectors; nothing is left out."
        ),
    },
    "Every token sees all the others, before and behind it, and what comes out is a vector for each.",
)
familiar = choice(
    "dna.q.familiar",
    "unit 3, “The architecture”",
    "B",
    {
        "A": Mistake(
            "Position embeddings are taken to be there.",
            "Search the printed model for `position`: ALiBi is in their place.",
        ),
        "C": Mistake("The feed-forward part is taken for a convolution.", "gated_layers and wo are Linear layers."),
        "D": Mistake(
            "The layers are taken to share their weights.",
            "12 layers have 12 times the parameters of one: unit 3 counted them.",
        ),
        "E": Mistake(
            "The head that classifies is taken to be in it.",
            "Fine-tuning adds it; the printed model ends with the pooler.",
        ),
    },
    "BERT's blocks, twelve times: attention, LayerNorm, feed-forward, LayerNorm; a gate and ALiBi are new.",
)
pretraining = choice(
    "dna.q.pretraining",
    "unit 6, “Naive Bayes and its rivals”",
    "D",
    {
        "A": Mistake(
            "A score above the majority is taken for the merit of pretraining.",
            "The network with random weights is above it as well.",
        ),
        "B": Mistake(
            "A score by itself is taken to say what made it.",
            "Change one thing and leave the rest: which comparison does that?",
        ),
        "C": Mistake(
            "3-mer counts are taken for the control of pretraining.",
            "They differ from the network in more than that it was trained.",
        ),
        "E": Mistake("The score on the training rows is taken to tell.", "It tells how well it was learned by heart."),
    },
    "Only the same network with random weights differs in nothing but the training.",
)
problems = choice(
    "dna.q.problems",
    "unit 7, “Splits and files”",
    "E",
    {
        "A": Mistake(
            "The number of rows is taken for the problem.", "1,000 rows are few, but which rows go where matters more."
        ),
        "B": Mistake(
            "Only the missing seed is seen.",
            "Look at the shares of the classes, and for sequences that stand in two files.",
        ),
        "C": Mistake(
            "Only the shares of the classes are seen.",
            "Could you draw the same files again? Is a sequence in two of them?",
        ),
        "D": Mistake(
            "The sizes are taken for the problem.", "60, 15 and 25 % are usual; it is how the rows are chosen."
        ),
    },
    "No seed, classes left to luck, copies in two files, and the test rows were training rows of the other classifier.",
)
learning_rate = choice(
    "dna.q.learning_rate",
    "unit 8, “Fine-tuning”",
    "A",
    {
        "B": Mistake(
            "It is taken for the number of rows that are learned at a time.",
            "That is the batch; the learning rate scales a step.",
        ),
        "C": Mistake("It is taken for large.", "Training from random weights takes 1e-4 to 1e-3; 3e-5 is below."),
        "D": Mistake(
            "A small one is taken to be exact.",
            "It is careful: the weights are good already, and large steps would undo them.",
        ),
        "E": Mistake("It is taken to stay the same.", "It grows over 50 steps of warm-up, then falls to 0 at the end."),
    },
    "How far each step moves the weights; small, since they are good already and should not be undone.",
)
max_length = choice(
    "dna.q.max_length",
    "unit 8, “Fine-tuning”",
    "C",
    {
        "A": Mistake(
            "It is taken to count bases.", "model_max_length is the tokenizer's: what does a tokenizer count?"
        ),
        "B": Mistake("It is taken to count 6-mers.", "--kmer -1 says: none."),
        "D": Mistake("It is taken to choose sequences.", "No sequence is left out; long ones lose their end."),
        "E": Mistake(
            "It is taken for a limit of the model.", "ALiBi has none; this is a choice that saves time and memory."
        ),
    },
    "Tokens, [CLS] and [SEP] with them: about 400 bases; what is longer loses its end.",
)
checkpoint = choice(
    "dna.q.checkpoint",
    "unit 9, “What the printed numbers say”",
    "B",
    {
        "A": Mistake(
            "The model of the last step is taken to be the one that was scored.",
            "load_best_model_at_end: which steps were evaluated?",
        ),
        "C": Mistake("It is taken to have been evaluated every epoch.", "--eval_steps 200, and 375 steps in all."),
        "D": Mistake("“epoch: 5.0” is taken for the epoch of the scored model.", "It is when the line was written."),
        "E": Mistake(
            "The last checkpoint on the disk is taken to be at step 400.",
            "600 rows in batches of 8, 5 times: 375 steps.",
        ),
    },
    "Step 200: the only evaluation there was. It had seen the rows 2.67 times, not 5.",
)
comparable = choice(
    "dna.q.comparable",
    "unit 9, “What the printed numbers say”",
    "D",
    {
        "A": Mistake(
            "The larger number is taken for the better model.", "0.696 and 0.68 are from different test rows."
        ),
        "B": Mistake(
            "A difference is taken for real because it is there.", "Half a standard error: unit 6 drew the intervals."
        ),
        "C": Mistake(
            "Accuracy is taken to say it all.", "Macro F1 is 0.597 against 0.65, and MCC 0.216 against about 0.31."
        ),
        "E": Mistake(
            "The chapter's figures are taken to be worthless.",
            "They can be taken apart, and that is what this unit does.",
        ),
    },
    "Other test rows, other training sizes, rows of one's training in the other's test, half a standard error apart.",
)

observations = choice(
    "dna.q.observations",
    "unit 1, “Tokens”",
    "B",
    {
        "A": Mistake("Every token is taken to be six bases, as a 6-mer is.", "Count the letters of three tokens."),
        "C": Mistake(
            "Tokens are taken for codons.", "Are all of them three bases long? Do they begin where a codon begins?"
        ),
        "D": Mistake(
            "The id is taken for the place in the sequence.", "Look for a token that is there twice: which ids has it?"
        ),
        "E": Mistake(
            "The special tokens are taken for the first and the last base.",
            "Join the pieces without them: is a base missing?",
        ),
    },
    "Pieces of different lengths, the same piece always with the same id, and a special token at either end.",
)
random_weights = choice(
    "dna.q.random_weights",
    "unit 6, “Naive Bayes and its rivals”",
    "C",
    {
        "A": Mistake(
            "It is taken for luck.", "Take other random weights (bio.random_twin(model, seed=2)): does it go away?"
        ),
        "B": Mistake(
            "The classifier is taken to have learned the rows by heart.",
            "The score is that of the test rows, which it has not seen.",
        ),
        "D": Mistake("Random weights are taken to know something.", "They were drawn; nothing was ever learned."),
        "E": Mistake(
            "Test rows are taken to be in the training.", "classify looks for that and would say so; what else is left?"
        ),
    },
    "Every token has a vector of its own, if a random one, so the mean over the tokens counts them: a bag of tokens.",
)
settings = choice(
    "dna.q.settings",
    "unit 8, “Fine-tuning”",
    "A",
    {
        "B": Mistake(
            "--fp16 is taken to help anywhere.", "Half precision is for GPUs; on a processor it does nothing."
        ),
        "C": Mistake("The batch is taken for the number of training rows.", "It is how many rows one step takes."),
        "D": Mistake(
            "Five epochs are taken to be what the scored model has seen.",
            "Which weights are scored is for the evaluations to choose; task 8.3 counted them.",
        ),
        "E": Mistake("--eval_steps is taken to count rows.", "It counts steps between two evaluations."),
    },
    "The warm-up spares the pretrained weights the first large errors of a new head.",
)
report = choice(
    "dna.q.report",
    "unit 9, “What the printed numbers say”",
    "C",
    {
        "A": Mistake("A score is taken to speak for itself.", "Of how many sequences, and against what?"),
        "B": Mistake(
            "Guessing is taken for a half, and other test rows for the same.", "What does the majority score here?"
        ),
        "D": Mistake(
            "Digits are taken for certainty.", "250 sequences allow two digits; is the majority in the interval?"
        ),
        "E": Mistake(
            "What was not found is taken not to be there.",
            "One run, 600 rows, scored at step 200: what does that say of the model?",
        ),
    },
    "Of how many, against what, with an interval, and with a score that knowing nothing leaves at 0.",
)
whole = choice(
    "dna.q.whole",
    "unit 10, “One sequence, and 65,321 of them”",
    "B",
    {
        "A": Mistake("More rows are taken for a better score.", "Likely, but it is to be measured; what is certain?"),
        "C": Mistake(
            "Shares of classes are taken to decide all.",
            "They stay; how far does the interval of unit 6 reach with 16,000 test rows?",
        ),
        "D": Mistake(
            "More rows are taken to be learned by heart more easily.", "Is it easier to learn 600 rows or 39,000?"
        ),
        "E": Mistake("Many rows are taken to balance the classes.", "The share of coding rows is that of the table."),
    },
    "With 16,000 test rows in place of 250 the interval is eight times narrower, whatever the score turns out to be.",
)
confidence = choice(
    "dna.q.confidence",
    "unit 10, “One sequence, and 65,321 of them”",
    "D",
    {
        "A": Mistake("The larger probability is taken for the truth.", "How often is it wrong at 0.58?"),
        "B": Mistake("A probability is taken for a share of the sequence.", "There is one label for all of it."),
        "C": Mistake(
            "The model's probability is taken for a measured frequency.",
            "Of the test rows with about 0.58: how many are coding? Nobody has looked.",
        ),
        "E": Mistake("0.58 is taken to say nothing.", "Before, 30 of 100 were coding; it has moved."),
    },
    "It leans to coding, hardly; what 0.58 is worth is seen on test rows that were given about the same.",
)

QUESTIONS = [
    observations, encoder, familiar, random_weights, pretraining, problems, learning_rate, max_length, settings,
    checkpoint, comparable, report, confidence, whole,
]  # fmt: skip
