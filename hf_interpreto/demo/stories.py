"""Very short stories in which one word, said earlier, decides a later one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from hf_interpreto.demo.corpus import CORPUS_SEED, Span, Split, article, draw_split, mark, sentence, unmark


@dataclass(frozen=True)
class Story:
    """One story, cut right before the word that its cue decides.

    Attributes:
        prompt: The text up to the decided word, without a space at its end.
        target: The decided word.
        ending: What follows the decided word.
        cue: Character span of the deciding word in the prompt.
        foil: A word of the same kind, which another cue would have brought (for contrastive explanations).
        kind: What links the cue to the target, one of `STORY_KINDS`.
    """

    prompt: str
    target: str
    ending: str
    cue: Span
    foil: str
    kind: str

    @property
    def text(self) -> str:
        """The whole story."""
        return f"{self.prompt} {self.target}{self.ending}"


_WOMEN = ("Anna", "Maria", "Lucy", "Emma", "Sarah", "Julia", "Clara", "Nora")
_MEN = ("Tom", "Peter", "David", "Paul", "Oscar", "Felix", "Martin", "Hugo")
_COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink", "grey", "orange")
_OBJECTS = ("ball", "hat", "scarf", "book", "cup", "kite", "bag", "coat", "box", "bike", "boat", "lamp")
_GOT = ("bought", "found", "got", "lost", "made", "sold")
_WORKPLACES = {
    "doctor": "hospital", "nurse": "hospital", "teacher": "school", "cook": "kitchen", "baker": "bakery",
    "judge": "court", "actor": "theatre", "priest": "church", "farmer": "field", "waiter": "restaurant",
    "gardener": "garden", "banker": "bank", "pilot": "plane", "miner": "mine", "mechanic": "garage",
    "barber": "salon", "scientist": "lab", "lawyer": "court", "clown": "circus", "chef": "kitchen",
}  # fmt: skip
_LANGUAGES = {
    "France": "French", "Spain": "Spanish", "Germany": "German", "Italy": "Italian", "Japan": "Japanese",
    "China": "Chinese", "Russia": "Russian", "Portugal": "Portuguese", "Poland": "Polish", "Greece": "Greek",
    "Turkey": "Turkish", "Sweden": "Swedish", "Denmark": "Danish", "Finland": "Finnish", "Norway": "Norwegian",
    "Hungary": "Hungarian",
}  # fmt: skip
_SOUNDS = {
    "dog": "bark", "cat": "meow", "cow": "moo", "duck": "quack", "sheep": "bleat", "pig": "oink", "bird": "chirp",
    "frog": "croak", "owl": "hoot", "bee": "buzz", "mouse": "squeak", "lion": "roar", "horse": "neigh",
    "snake": "hiss", "wolf": "howl",
}  # fmt: skip
_PRONOUNS = {
    "king": "he", "queen": "she", "prince": "he", "princess": "she", "boy": "he", "girl": "she", "man": "he",
    "woman": "she", "father": "he", "mother": "she", "grandfather": "he", "grandmother": "she", "uncle": "he",
    "aunt": "she", "actor": "he", "actress": "she", "waiter": "he", "waitress": "she",
}  # fmt: skip
_PLACES = ("drawer", "basket", "kitchen", "garden", "cellar", "cupboard", "car", "attic", "barn", "bathroom")
_THINGS = ("keys", "glasses", "letters", "coins", "tickets", "gloves", "photos", "apples")

# Sentences that tell nothing about any target: no colours, places, jobs, animals, countries, he or she.
_FILLERS = (
    "It was a cold and rainy day.", "The sun was shining.", "Nobody was in a hurry.", "There was music outside.",
    "The clock struck nine.", "A few hours went by.", "It was almost time for dinner.", "The wind was blowing hard.",
    "The week had been long.", "Everyone was tired.", "It was a Sunday in May.", "The tea was still hot.",
    "Later the phone rang twice.", "The news came on at eight.", "It began to snow.", "All the shops were closed.",
    "The bus was late again.", "It was very quiet.", "The moon was bright that night.", "Nothing else happened.",
)  # fmt: skip
_REASONS = (
    "had forgotten the time", "was tired", "wanted to sleep", "felt cold", "was hungry", "had lost the way",
    "had work to do", "needed some rest",
)  # fmt: skip


def _fillers(rng: random.Random, least: int = 0) -> str:
    """Gives some sentences to put between the cue and its target, with a space before each."""
    return "".join(f" {filler}" for filler in rng.sample(_FILLERS, rng.choice((least, 1, 1, 2, 3))))


def _person(rng: random.Random) -> tuple[str, str, str]:
    """Gives a name with its pronoun and possessive."""
    return (rng.choice(_WOMEN), "she", "her") if rng.random() < 0.5 else (rng.choice(_MEN), "he", "his")


def _story(text: str, target: str, ending: str, foil: str, kind: str) -> Story:
    prompt, cues = unmark(text)
    return Story(prompt, target, ending, cues[0], foil, kind)


def _other(rng: random.Random, words: list[str] | tuple[str, ...], *taken: str) -> str:
    return rng.choice([word for word in words if word not in taken])


def _colour(rng: random.Random) -> tuple[str, Story]:
    name, pronoun, _ = _person(rng)
    colour, (thing, other_thing) = rng.choice(_COLOURS), rng.sample(_OBJECTS, 2)
    bought, a, age = rng.choice(_GOT), article(colour), rng.choice(("a new", "an old", "a small", "a big"))
    opening = rng.choice(
        (
            f"{name} {bought} {a} {mark(colour)} {thing}.",
            f"{name} {bought} {a} {mark(colour)} {thing} in the morning.",
            f"Yesterday {name} {bought} {a} {mark(colour)} {thing}.",
            f"{name} {bought} {a} {mark(colour)} {thing} and {age} {other_thing}.",
            f"{name} {bought} {age} {other_thing} and {a} {mark(colour)} {thing}.",
        )
    )
    closing = rng.choice(
        (
            f"{sentence(pronoun)} told a friend that the {thing} was",
            f"Today the {thing} is",
            f"We know that the {thing} is",
            f"The {thing} is",
        )
    )
    foil = _other(rng, _COLOURS, colour)
    return f"{colour}|{thing}", _story(f"{opening}{_fillers(rng)} {closing}", colour, ".", foil, "colour")


def _work(rng: random.Random) -> tuple[str, Story]:
    name, pronoun, _ = _person(rng)
    job = rng.choice(list(_WORKPLACES))
    place = _WORKPLACES[job]
    opening = rng.choice(
        (
            f"{name} is a {mark(job)}.",
            f"My friend {name} is a {mark(job)}.",
            f"{name} became a {mark(job)} last year.",
            f"{name} is a good {mark(job)} and a kind neighbour.",
        )
    )
    closing = rng.choice(
        (
            f"Every day {pronoun} works in the",
            f"{sentence(pronoun)} gets up early and goes to the",
            f"After breakfast {pronoun} drives to the",
            f"If you need {name}, look in the",
        )
    )
    text = f"{opening}{_fillers(rng)} {closing}"
    return f"{job}|{closing.split()[-3:]}|{name}", _story(
        text, place, ".", _other(rng, list(_WORKPLACES.values()), place), "work"
    )


def _pronoun(rng: random.Random) -> tuple[str, Story]:
    who = rng.choice(list(_PRONOUNS))
    pronoun, reason = _PRONOUNS[who], rng.choice(_REASONS)
    did = rng.choice(("went home", "left the party", "sat down", "closed the door", "called a taxi", "stayed inside"))
    before = _fillers(rng).strip()
    main = rng.choice((f"The {mark(who)} {did}", f"The old {mark(who)} {did}", f"At last the {mark(who)} {did}"))
    link = rng.choice(
        (" because", ", for", f".{_fillers(rng, 1)} We all knew that", f".{_fillers(rng, 1)} I think that")
    )
    text = f"{before} {main}{link}".strip()
    return f"{who}|{did}", _story(text, pronoun, f" {reason}.", "she" if pronoun == "he" else "he", "pronoun")


def _sound(rng: random.Random) -> tuple[str, Story]:
    name, _, possessive = _person(rng)
    animal = rng.choice(list(_SOUNDS))
    opening = rng.choice(
        (
            f"{name} has a {mark(animal)}.",
            f"{name} drew a little {mark(animal)} for {possessive} friends.",
            f"There is a {mark(animal)} behind the house of {name}.",
            f"One day {name} met a {mark(animal)}.",
        )
    )
    closing = rng.choice(("It likes to", "All night long you can hear it", "When it is happy, it begins to"))
    sound = _SOUNDS[animal]
    foil = _other(rng, list(_SOUNDS.values()), sound)
    return f"{animal}|{name}", _story(f"{opening}{_fillers(rng)} {closing}", sound, ".", foil, "sound")


def _language(rng: random.Random) -> tuple[str, Story]:
    name, pronoun, possessive = _person(rng)
    country = rng.choice(list(_LANGUAGES))
    opening = rng.choice(
        (
            f"{name} comes from {mark(country)}.",
            f"{name} was born in {mark(country)}.",
            f"{name} grew up in {mark(country)} with {possessive} parents.",
            f"My neighbour {name} moved here from {mark(country)}.",
        )
    )
    closing = rng.choice(
        (f"At home {pronoun} speaks", f"With {possessive} friends {pronoun} speaks", "The songs are in")
    )
    language = _LANGUAGES[country]
    foil = _other(rng, list(_LANGUAGES.values()), language)
    return f"{country}|{name}", _story(f"{opening}{_fillers(rng)} {closing}", language, ".", foil, "language")


def _owner(rng: random.Random) -> tuple[str, Story]:
    owner, thing = rng.choice(_WOMEN + _MEN), rng.choice(_OBJECTS)
    opening = rng.choice(
        (
            f"My neighbour gave the {thing} to {mark(owner)}.",
            f"We sold the {thing} to {mark(owner)} last week.",
            f"The {thing} was a gift for {mark(owner)}.",
            f"Last week {mark(owner)} got the {thing} from an old friend.",
        )
    )
    closing = rng.choice((f"Now the {thing} belongs to", f"Today the {thing} belongs to"))
    foil = _other(rng, _WOMEN + _MEN, owner)
    return f"{owner}|{thing}", _story(f"{opening}{_fillers(rng)} {closing}", owner, ".", foil, "owner")


def _place(rng: random.Random) -> tuple[str, Story]:
    name, pronoun, _ = _person(rng)
    place, thing = rng.choice(_PLACES), rng.choice(_THINGS)
    put = rng.choice(("put", "left", "hid", "forgot"))
    opening = rng.choice(
        (
            f"{name} {put} the {thing} in the {mark(place)}.",
            f"Last night {name} {put} some {thing} in the {mark(place)}.",
        )
    )
    closing = rng.choice((f"{sentence(pronoun)} found the {thing} in the", f"The {thing} are still in the"))
    foil = _other(rng, _PLACES, place)
    return f"{place}|{thing}", _story(f"{opening}{_fillers(rng)} {closing}", place, ".", foil, "place")


def _both(rng: random.Random) -> tuple[str, Story]:
    """Joins two links in one story: a job and a country, told at the end in one sentence."""
    name, pronoun, _ = _person(rng)
    job, country = rng.choice(list(_WORKPLACES)), rng.choice(list(_LANGUAGES))
    first = rng.random() < 0.5
    cue_job, cue_country = (job, mark(country)) if first else (mark(job), country)
    opening = rng.choice(
        (f"{name} is a {cue_job} from {cue_country}.", f"{name}, a {cue_job}, comes from {cue_country}.")
    )
    start = f"{opening}{_fillers(rng)} Every day {pronoun} speaks"
    place, language = _WORKPLACES[job], _LANGUAGES[country]
    if first:
        foil = _other(rng, list(_LANGUAGES.values()), language)
        return f"{job}|{country}", _story(start, language, f" in the {place}.", foil, "language")
    foil = _other(rng, list(_WORKPLACES.values()), place)
    return f"{job}|{country}", _story(f"{start} {language} in the", place, ".", foil, "work")


_KINDS: dict[str, Callable[[random.Random], tuple[str, Story]]] = {
    "colour": _colour, "work": _work, "pronoun": _pronoun, "sound": _sound, "language": _language, "owner": _owner,
    "place": _place, "both": _both,
}  # fmt: skip
STORY_KINDS = tuple(kind for kind in _KINDS if kind != "both")


def _draw(rng: random.Random) -> tuple[str, Story]:
    return rng.choices(tuple(_KINDS.values()), weights=(3, 2, 2, 2, 2, 2, 2, 2))[0](rng)


def stories(n: int, seed: int = CORPUS_SEED, split: Split = "train") -> list[Story]:
    """Makes stories.

    One in ten combinations of a cue with what it is told about (a colour with a thing, a country with a name, ...) is
    held out: it occurs in the test split only.

    Args:
        n: Number of stories.
        seed: Seed of the generator.
        split: `"train"` or `"test"`.

    Returns:
        The stories, the same ones for the same arguments.

    Raises:
        ValueError: If `split` is unknown.
    """
    return draw_split(_draw, n, seed, split)
