"""Short English texts with one of six emotions, named by a cue word or phrase whose place is known."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from hf_interpreto.demo.corpus import CORPUS_SEED, Span, Split, article, draw_split, mark, sentence, unmark

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
Kind = Literal["single", "contrast", "neutral"]


@dataclass(frozen=True)
class EmotionText:
    """One labelled text.

    Attributes:
        text: The text.
        label: Its emotion, or None for a text without any cue.
        cues: Character spans of the cue that decides the label (one span, which may hold several words).
        kind: `"single"` (one cue), `"contrast"` (a cue of another emotion is overruled) or `"neutral"` (no cue).
    """

    text: str
    label: str | None
    cues: tuple[Span, ...]
    kind: Kind


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


# How each emotion is said, by the part of speech that fits the slot of a template.
CUES: dict[str, dict[str, tuple[str, ...]]] = {
    "sadness": {
        "feeling": _list(
            "sad, miserable, heartbroken, lonely, depressed, unhappy, hopeless, gloomy, devastated, tearful, "
            "sorrowful, downcast, homesick, dejected"
        ),
        "phrase": _list("down in the dumps, close to tears, lost in sorrow, broken inside"),
        "noun": _list("sadness, sorrow, grief, misery, despair, gloom, heartache, melancholy"),
        "verb": _list("cried, wept, sobbed, sighed, grieved, moped"),
        "transitive": _list("missed, mourned, grieved for, wept for, cried over"),
        "quality": _list("sad, heartbreaking, depressing, tragic, mournful, dismal, gloomy, bleak"),
    },
    "joy": {
        "feeling": _list(
            "happy, joyful, delighted, cheerful, glad, ecstatic, overjoyed, elated, pleased, merry, jubilant, "
            "thrilled, upbeat, radiant"
        ),
        "phrase": _list("over the moon, on cloud nine, in high spirits, walking on air"),
        "noun": _list("joy, happiness, delight, bliss, cheer, glee, gladness, excitement"),
        "verb": _list("laughed, smiled, cheered, rejoiced, beamed, celebrated"),
        "transitive": _list("enjoyed, celebrated, delighted in, laughed with, cheered for"),
        "quality": _list("happy, wonderful, delightful, fun, cheerful, joyful, splendid, fantastic"),
    },
    "love": {
        "feeling": _list(
            "loving, affectionate, tender, adoring, smitten, devoted, loved, infatuated, besotted, enamoured, "
            "cherished, passionate, adored, romantic"
        ),
        "phrase": _list("in love, head over heels, full of kisses, warm and tender"),
        "noun": _list("love, affection, tenderness, devotion, fondness, adoration, passion, warmth"),
        "verb": _list("fell in love, blew a kiss, whispered sweet words, kissed, cuddled, embraced"),
        "transitive": _list("loved, adored, cherished, kissed, hugged, cared for"),
        "quality": _list("romantic, loving, tender, affectionate, sweet, lovely, heartwarming, intimate"),
    },
    "anger": {
        "feeling": _list(
            "angry, furious, annoyed, irritated, outraged, enraged, mad, resentful, livid, bitter, hostile, "
            "cross, offended, frustrated"
        ),
        "phrase": _list("fed up, sick and tired of it all, boiling with rage, out of patience"),
        "noun": _list("anger, rage, fury, resentment, irritation, wrath, outrage, hatred"),
        "verb": _list("shouted, yelled, raged, fumed, snapped, swore"),
        "transitive": _list("hated, cursed, scolded, resented, shouted at, detested"),
        "quality": _list("infuriating, annoying, maddening, outrageous, irritating, unfair, insulting, hateful"),
    },
    "fear": {
        "feeling": _list(
            "afraid, scared, terrified, frightened, anxious, nervous, fearful, panicked, petrified, worried, "
            "uneasy, horrified, jittery, timid"
        ),
        "phrase": _list("scared stiff, on edge, shaking with fear, frozen with dread"),
        "noun": _list("fear, terror, dread, panic, fright, horror, anxiety, worry"),
        "verb": _list("trembled, panicked, shivered, cowered, shuddered, quaked"),
        "transitive": _list("feared, dreaded, trembled before, hid from, fled from"),
        "quality": _list("terrifying, scary, frightening, creepy, horrifying, spooky, menacing, threatening"),
    },
    "surprise": {
        "feeling": _list(
            "surprised, amazed, astonished, shocked, stunned, startled, astounded, dumbfounded, flabbergasted, "
            "bewildered, speechless, baffled, puzzled, staggered"
        ),
        "phrase": _list("taken aback, caught off guard, at a loss for words, blown away"),
        "noun": _list("surprise, amazement, astonishment, shock, wonder, disbelief, bewilderment, awe"),
        "verb": _list("gasped, gaped, blinked in disbelief, stared in wonder, marvelled, did a double take"),
        "transitive": _list("marvelled at, gaped at, wondered at, got a shock from, gasped at"),
        "quality": _list(
            "surprising, astonishing, unexpected, startling, unbelievable, amazing, incredible, shocking"
        ),
    },
}

# subject, its pronoun, present and past of "be", present of "feel", possessive, object
_PEOPLE = (
    ("I", "I", "am", "was", "feel", "my", "me"),
    ("I", "I", "am", "was", "feel", "my", "me"),
    ("she", "she", "is", "was", "feels", "her", "her"),
    ("he", "he", "is", "was", "feels", "his", "him"),
    ("we", "we", "are", "were", "feel", "our", "us"),
    ("they", "they", "are", "were", "feel", "their", "them"),
    ("you", "you", "are", "were", "feel", "your", "you"),
    ("Anna", "she", "is", "was", "feels", "her", "her"),
    ("Tom", "he", "is", "was", "feels", "his", "him"),
    ("my sister", "she", "is", "was", "feels", "her", "her"),
    ("my brother", "he", "is", "was", "feels", "his", "him"),
    ("our teacher", "she", "is", "was", "feels", "her", "her"),
    ("the old man", "he", "is", "was", "feels", "his", "him"),
    ("the children", "they", "are", "were", "feel", "their", "them"),
    ("our neighbours", "they", "are", "were", "feel", "their", "them"),
)
_WHEN = (
    "when the letter arrived", "when the phone rang", "when the train left the station", "when the door opened",
    "when the results came out", "when the music stopped", "when the lights went out", "when the doctor called",
    "when the guests went home", "when the team scored", "after the meeting", "after the long drive",
    "after the exam", "before the concert", "during the film", "at the party", "at the airport", "at work",
    "in the garden", "in the middle of the night", "on the way home", "on my birthday", "this morning",
    "last night", "yesterday", "the whole week", "because of the weather", "because of the message",
)  # fmt: skip
_TOPICS = (
    "the news", "the trip", "the new job", "the plan", "the exam results", "the phone call", "the move",
    "the wedding", "the old house", "the email from the bank", "what happened", "the whole thing",
)  # fmt: skip
_THINGS = (
    "film", "story", "letter", "song", "evening", "day", "trip", "visit", "dream", "message", "book", "phone call",
    "speech", "ending", "meeting", "birthday",
)  # fmt: skip
_OBJECTS = (
    "the children", "the neighbours", "the old dog", "the new teacher", "that song", "this place", "the big city",
    "her cousin", "his boss", "the quiet evenings", "the man next door", "my grandmother", "the long winter",
)  # fmt: skip
_DEGREES = ("", "", "", "very ", "so ", "really ", "quite ", "a little ", "truly ")
_FILLERS = (
    "The bus was on time.", "We had soup for lunch.", "The report is due on Friday.", "It was a Tuesday.",
    "There were about ten people in the room.", "The shop on the corner sells bread.", "Nobody said much.",
    "The radio was playing in the kitchen.", "I put the keys on the table.", "The meeting started at nine.",
    "He made a cup of tea.", "She was wearing a blue coat.", "The window was open.", "It rained a bit in the evening.",
    "The train to the city takes an hour.", "We talked about the budget first.", "The dog was asleep by the fire.",
    "Someone had left a book on the chair.", "The street was quiet.", "They moved here two years ago.",
    "My phone was on the desk.", "The coffee was still warm.", "Then it was time for dinner.",
    "The car is parked outside.",
    "Let me tell you about it.", "You know how it goes.", "It happened twenty minutes ago.", "That is all I can say.",
)  # fmt: skip

_SINGLE: dict[str, tuple[str, ...]] = {
    "feeling": (
        "{s} {was} {degree}{cue} {when}.",
        "{s} felt {degree}{cue} {when}.",
        "{when}, {s} felt {degree}{cue}.",
        "{when}, {s} {was} {degree}{cue}.",
        "{s} {be} {degree}{cue} today.",
        "{s} {feel} {degree}{cue} about {topic}.",
        "{s} {feel} {degree}{cue} right now.",
        "everyone could see that {s} {was} {cue}.",
        "{s} came home {cue} {when}.",
        "{topic} left {o} {degree}{cue}.",
        "{topic} made {o} {feelbase} {cue}.",
        "why {be} {s} so {cue} about {topic}?",
        "I think {s} {was} {cue} {when}.",
    ),
    "phrase": (
        "{s} {was} {cue} {when}.",
        "{when}, {s} {was} {cue}.",
        "{s} {be} {cue} today.",
        "everyone could see that {s} {was} {cue}.",
        "{topic} left {o} {cue}.",
    ),
    "noun": (
        "{s} {was} full of {cue} {when}.",
        "{s} {was} filled with {cue} {when}.",
        "a wave of {cue} came over {o} {when}.",
        "{s} could not hide {p} {cue} {when}.",
        "there was {cue} in {p} voice {when}.",
        "all that {s} felt was {cue}.",
        "{topic} filled {o} with {cue}.",
        "you could see the {cue} on {p} face.",
    ),
    "verb": (
        "{s} {cue} {when}.",
        "{when}, {s} {cue}.",
        "{s} sat down and {cue}.",
        "{s} read the letter and {cue}.",
        "{s} heard about {topic} and {cue}.",
    ),
    "transitive": (
        "{s} {cue} {object}.",
        "{s} {cue} {object} {when}.",
        "{s} always {cue} {object}.",
        "{s} really {cue} {object}.",
    ),
    "quality": (
        "what {a} {cue} {thing}!",
        "it was {a} {cue} {thing}.",
        "the {thing} was {degree}{cue}.",
        "it was such {a} {cue} {thing} {when}.",
        "I think the {thing} was {degree}{cue}.",
        "{s} told us {a} {cue} story.",
        "{s} had {a} {cue} {thing} {when}.",
    ),
}
# {other} is a cue of another emotion, overruled by {cue}.
_CONTRAST = (
    "{s} {was} {other} at first, but now {again} {feel} {cue}.",
    "{s} {was} not {other} but {cue} {when}.",
    "{s} {was} {cue}, not {other}, {when}.",
    "{s} expected to be {other}, yet {again} {was} {cue} {when}.",
    "{s} {be} no longer {other}; these days {again} {feel} {cue}.",
    "people thought that {s} {was} {other}, but in truth {again} {was} {cue}.",
    "the {thing} was {other_quality}, but {s} {was} {cue}.",
    "although the {thing} was {other_quality}, {s} felt {cue}.",
    "{s} used to be {other} about {topic}, but today {again} {be} {cue}.",
)
_NEUTRAL = (
    "{s} {was} there {when}.",
    "{when}, {s} sat down.",
    "{s} heard about {topic}.",
    "{s} talked about {topic} {when}.",
    "it was {a} long {thing}.",
    "the {thing} was {degree}long.",
    "{s} saw {object} {when}.",
    "everyone could see that {s} {was} here.",
)


def _fill(template: str, rng: random.Random, cue: str, other: str, other_quality: str) -> str:
    """Fills one template; the slots that carry no emotion are drawn independently of the cue."""
    s, again, be, was, feel, p, o = rng.choice(_PEOPLE)
    thing = rng.choice(_THINGS)
    slots = {
        "s": s, "again": again, "be": be, "was": was, "feel": feel, "p": p, "o": o, "feelbase": "feel",
        "cue": cue, "other": other,
        "other_quality": other_quality, "thing": thing, "a": article(cue or "long"), "degree": rng.choice(_DEGREES),
        "when": rng.choice(_WHEN), "topic": rng.choice(_TOPICS), "object": rng.choice(_OBJECTS),
    }  # fmt: skip
    return sentence(template.format(**slots))


def _surround(text: str, rng: random.Random) -> str:
    """Puts up to two sentences without emotion before or behind the one that counts."""
    fillers = rng.sample(_FILLERS, rng.choice((0, 0, 0, 1, 1, 2)))
    place = rng.randint(0, len(fillers))
    return " ".join([*fillers[:place], text, *fillers[place:]])


def _draw_single(rng: random.Random) -> tuple[str, EmotionText]:
    label = rng.choice(EMOTIONS)
    slot = rng.choices(tuple(_SINGLE), weights=(6, 2, 3, 3, 2, 3))[0]
    cue = rng.choice(CUES[label][slot])
    template = rng.choice(_SINGLE[slot])
    text, cues = unmark(_surround(_fill(template, rng, mark(cue), "", ""), rng))
    return f"{cue}|{template}", EmotionText(text, label, tuple(cues), "single")


def _draw_contrast(rng: random.Random) -> tuple[str, EmotionText]:
    label, overruled = rng.sample(EMOTIONS, 2)
    cue = rng.choice(CUES[label]["feeling"] + CUES[label]["phrase"])
    other, other_quality = rng.choice(CUES[overruled]["feeling"]), rng.choice(CUES[overruled]["quality"])
    template = rng.choice(_CONTRAST)
    text, cues = unmark(_surround(_fill(template, rng, mark(cue), other, other_quality), rng))
    return f"{cue}|{template}", EmotionText(text, label, tuple(cues), "contrast")


def _draw_neutral(rng: random.Random) -> tuple[str, EmotionText]:
    text = _surround(_fill(rng.choice(_NEUTRAL), rng, "", "", ""), rng)
    return "neutral", EmotionText(text, None, (), "neutral")


_DRAW = {"single": _draw_single, "contrast": _draw_contrast, "neutral": _draw_neutral}


def emotion_texts(n: int, seed: int = CORPUS_SEED, split: Split = "train", kind: Kind = "single") -> list[EmotionText]:
    """Makes labelled texts.

    A cue and a template that meet in the test split never meet in the train split (one combination in ten is held
    out), but each of them occurs there with others.

    Args:
        n: Number of texts.
        seed: Seed of the generator.
        split: `"train"` or `"test"`.
        kind: `"single"`, `"contrast"` or `"neutral"`; see `EmotionText`.

    Returns:
        The texts, the same ones for the same arguments.

    Raises:
        ValueError: If `split` or `kind` is unknown.
    """
    if kind not in _DRAW:
        raise ValueError(f"unknown kind {kind!r}. Known: {', '.join(_DRAW)}")
    return draw_split(_DRAW[kind], n, seed, split, accept=("neutral",))
