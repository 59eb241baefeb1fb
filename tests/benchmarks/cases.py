"""What is measured: texts, models, methods, libraries, and the settings that make them comparable."""

from dataclasses import asdict, dataclass, field

CLASSIFIER = "classifier"
GENERATOR = "generator"
EMOTION = "emotion-minilm"
MODELS = (CLASSIFIER, GENERATOR, EMOTION)

OURS = "hf_interpreto"
INTERPRETO = "interpreto"
INTERPRETO_64 = "interpreto_b64"
CAPTUM = "captum"
FLOOR = "floor"
LIBRARIES = (OURS, INTERPRETO, INTERPRETO_64, CAPTUM, FLOOR)

# Passes per sentence, interpreto's defaults.
COALITIONS = 100
DESIGN_ROWS = 32
NOISE_SAMPLES = 10

TARGET_WORDS = 8

# Twenty words each. The generator sees the first twelve and is asked about the last eight.
SENTENCES = (
    "the quiet librarian carried seven heavy boxes across the wet courtyard before the morning train left without any "
    "warning again",
    "our neighbours painted their wooden fence bright green because the old colour reminded them of a long rainy "
    "winter abroad",
    "several engineers inspected the narrow bridge yesterday and they wrote a careful report about its tired steel "
    "cables and bolts",
    "a small kitchen near the harbour serves fresh soup every evening to sailors who return cold hungry and very late",
    "the young violinist practised the difficult passage until midnight while her patient brother slept on the sofa "
    "beside the window",
    "heavy clouds gathered above the valley so the farmers hurried home with their tools and left the apples "
    "under trees",
    "my grandmother keeps every letter she received during the war inside a blue tin box behind the kitchen clock "
    "upstairs",
    "nobody expected the visiting team to win that match yet they scored twice before half time and defended bravely "
    "throughout",
)

# About twenty words each, for the trained emotion classifier.
EMOTION_SENTENCES = (
    "i feel so grateful that my friends came to visit me in the hospital and stayed with me all afternoon",
    "i was really angry when the airline lost my suitcase for the second time and nobody even said they were sorry",
    "i feel nervous about the exam tomorrow because i have not slept well and i keep forgetting the simplest answers",
    "i miss my old dog terribly and every morning i still reach for the leash before i remember he is gone",
    "i cannot believe they planned a whole party without me noticing anything and even my parents travelled here for "
    "it",
    "i feel a gentle kind of love whenever she reads to the children and lets them turn the pages themselves",
    "i felt ignored and lonely at the wedding since everyone i knew was sitting together at the other long table",
    "i am delighted with the little garden we planted because the first tomatoes finally turned red in the warm sun",
)


@dataclass(frozen=True)
class Method:
    """One attribution method at the settings that all libraries share.

    Attributes:
        name: Class name in hf_interpreto.
        gradient: Whether a pass is forward and backward (else forward only).
        settings: Arguments of our constructor beyond the common ones.
    """

    name: str
    gradient: bool
    settings: dict[str, object] = field(default_factory=dict)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("Occlusion", gradient=False),
        Method("Lime", gradient=False, settings={"n_perturbations": COALITIONS}),
        Method("KernelShap", gradient=False, settings={"n_perturbations": COALITIONS}),
        Method("Sobol", gradient=False, settings={"n_token_perturbations": DESIGN_ROWS}),
        Method("Saliency", gradient=True),
        Method("InputxGradient", gradient=True),
        # No tolerance: the doubling of nodes would spend more passes than the others.
        Method("IntegratedGradients", gradient=True, settings={"n_perturbations": NOISE_SAMPLES, "tolerance": None}),
        Method("GradientShap", gradient=True, settings={"n_perturbations": NOISE_SAMPLES}),
        Method("SmoothGrad", gradient=True, settings={"n_perturbations": NOISE_SAMPLES}),
        Method("SquareGrad", gradient=True, settings={"n_perturbations": NOISE_SAMPLES}),
        Method("VarGrad", gradient=True, settings={"n_perturbations": NOISE_SAMPLES}),
    )
}


@dataclass(frozen=True)
class Case:
    """One process of the benchmark.

    Attributes:
        library: One of `LIBRARIES`.
        model: One of `MODELS`.
        method: A key of `METHODS`.
        folder: Where the model and its tokenizer were saved.
        settings: Constructor arguments that replace those of `METHODS` (the memory benchmark uses it).
        n_sentences: How many of the eight sentences to explain.
        long: Explain one text of about 2,000 tokens instead of the sentences.
    """

    library: str
    model: str
    method: str
    folder: str
    settings: dict[str, object] = field(default_factory=dict)
    n_sentences: int = 8
    long: bool = False

    @property
    def generation(self) -> bool:
        """Whether the model is asked about given target tokens (else about the class that it predicts)."""
        return self.model == GENERATOR

    @property
    def arguments(self) -> dict[str, object]:
        """Constructor arguments of the method."""
        return {**METHODS[self.method].settings, **self.settings}

    def texts(self) -> tuple[list[str], list[str] | None]:
        """Inputs and target texts (None where the target is the predicted class)."""
        sentences = list(EMOTION_SENTENCES if self.model == EMOTION else SENTENCES)[: self.n_sentences]
        if not self.generation:
            return sentences, None
        inputs, targets = zip(*(_prompt_and_target(sentence) for sentence in sentences), strict=True)
        return ([long_text()] if self.long else list(inputs)), list(targets[:1] if self.long else targets)

    def to_dict(self) -> dict[str, object]:
        """The case as JSON-able values."""
        return asdict(self)


def _prompt_and_target(sentence: str) -> tuple[str, str]:
    words = sentence.split()
    return " ".join(words[:-TARGET_WORDS]), " " + " ".join(words[-TARGET_WORDS:])


def long_text() -> str:
    """About 2,000 tokens in 95 sentences, each of one token per word and a full stop."""
    return " ".join(f"{SENTENCES[index % len(SENTENCES)]}." for index in range(95))
