"""Small English sentences with their French translation, and which word comes from which."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hf_interpreto.demo.corpus import CORPUS_SEED, Split, article, draw_split, sentence


@dataclass(frozen=True)
class Translation:
    """One sentence in both languages.

    Words are what white space separates; the full stop belongs to the last word.

    Attributes:
        source: English sentence.
        target: French sentence.
        alignment: Pairs (index of a French word, index of the English word that it translates).
        content: Indices of the French words whose meaning is in one English word alone: all but the articles, whose
            form also depends on the noun.
    """

    source: str
    target: str
    alignment: tuple[tuple[int, int], ...]
    content: tuple[int, ...]


@dataclass(frozen=True)
class _Word:
    """A word of a sentence; words of the two languages with the same key translate each other."""

    text: str
    key: str
    content: bool = False


_Table = tuple[tuple[str, ...], ...]


def _rows(table: str) -> _Table:
    return tuple(tuple(entry.split()) for entry in table.split(", "))


# English singular, English plural, French singular, French plural, gender. All French words begin with a sounded
# consonant, so that no article is cut short.
_ANIMALS = _rows(
    "cat cats chat chats m, dog dogs chien chiens m, mouse mice souris souris f, horse horses cheval chevaux m, "
    "cow cows vache vaches f, fox foxes renard renards m, wolf wolves loup loups m, rabbit rabbits lapin lapins m, "
    "goat goats chèvre chèvres f, hen hens poule poules f, frog frogs grenouille grenouilles f, "
    "duck ducks canard canards m, turtle turtles tortue tortues f"
)
_PEOPLE = _rows(
    "girl girls fille filles f, boy boys garçon garçons m, woman women femme femmes f, king kings roi rois m, "
    "queen queens reine reines f, doctor doctors médecin médecins m, teacher teachers professeur professeurs m, "
    "baker bakers boulanger boulangers m, princess princesses princesse princesses f, "
    "prince princes prince princes m, farmer farmers fermier fermiers m, neighbour neighbours voisin voisins m"
)
_THINGS = _rows(
    "house houses maison maisons f, book books livre livres m, letter letters lettre lettres f, "
    "flower flowers fleur fleurs f, chair chairs chaise chaises f, car cars voiture voitures f, "
    "cake cakes gâteau gâteaux m, hat hats chapeau chapeaux m, boat boats bateau bateaux m, key keys clé clés f, "
    "bag bags sac sacs m, cheese cheeses fromage fromages m, basket baskets panier paniers m, "
    "bottle bottles bouteille bouteilles f, lamp lamps lampe lampes f, knife knives couteau couteaux m, "
    "shirt shirts chemise chemises f, dress dresses robe robes f, gift gifts cadeau cadeaux m"
)
_PLACES = _rows(
    "garden - jardin - m, kitchen - cuisine - f, forest - forêt - f, river - rivière - f, street - rue - f, "
    "park - parc - m, town - ville - f, library - bibliothèque - f, castle - château - m, room - chambre - f, "
    "snow - neige - f, barn - grange - f, bank - banque - f, field - champ - m"
)
_HIDEOUTS = {
    "behind": _rows("door - porte - f, curtain - rideau - m, wall - mur - m, house - maison - f, car - voiture - f"),
    "under": _rows(
        "bed - lit - m, bridge - pont - m, table - table - f, chair - chaise - f, blanket - couverture - f"
    ),
}
# English, French masculine, feminine, masculine plural, feminine plural
_COLOURS = _rows(
    "red rouge rouge rouges rouges, black noir noire noirs noires, white blanc blanche blancs blanches, "
    "green vert verte verts vertes, blue bleu bleue bleus bleues, brown brun brune bruns brunes, "
    "yellow jaune jaune jaunes jaunes, grey gris grise gris grises, strange bizarre bizarre bizarres bizarres"
)
_TRAITS = _rows(
    "sad triste triste tristes tristes, calm calme calme calmes calmes, kind gentil gentille gentils gentilles, "
    "shy timide timide timides timides, rich riche riche riches riches, funny drôle drôle drôles drôles"
)
_BEFORE = _rows(
    "small petit petite petits petites, big grand grande grands grandes, old vieux vieille vieux vieilles, "
    "young jeune jeune jeunes jeunes, beautiful beau belle beaux belles, pretty joli jolie jolis jolies"
)
# English present singular, plural, past; French present singular, plural, imperfect singular, plural
_INTRANSITIVE = _rows(
    "sleeps sleep slept dort dorment dormait dormaient, sings sing sang chante chantent chantait chantaient, "
    "runs run ran court courent courait couraient, swims swim swam nage nagent nageait nageaient, "
    "dances dance danced danse dansent dansait dansaient, walks walk walked marche marchent marchait marchaient, "
    "works work worked travaille travaillent travaillait travaillaient, waits wait waited attend attendent attendait "
    "attendaient, plays play played joue jouent jouait jouaient, laughs laugh laughed rit rient riait riaient, "
    "cries cry cried pleure pleurent pleurait pleuraient, dreams dream dreamed rêve rêvent rêvait rêvaient"
)
_TRANSITIVE = _rows(
    "sees see saw voit voient voyait voyaient, likes like liked aime aiment aimait aimaient, "
    "watches watch watched regarde regardent regardait regardaient, wants want wanted veut veulent voulait voulaient, "
    "finds find found trouve trouvent trouvait trouvaient, hides hide hid cache cachent cachait cachaient"
)
# What only people do.
_CRAFTS = _rows(
    "draws draw drew dessine dessinent dessinait dessinaient, buys buy bought achète achètent achetait achetaient, "
    "carries carry carried porte portent portait portaient, sells sell sold vend vendent vendait vendaient"
)
_ADVERBS = _rows("often souvent, always toujours, sometimes parfois, still encore")
_TIMES = {False: _rows("today aujourd'hui, now maintenant"), True: _rows("yesterday hier")}
# French masculine, feminine, plural
_DETERMINERS = {"the": "le la les", "my": "mon ma mes", "this": "ce cette ces", "your": "ton ta tes"}
_NUMBERS = {"two": "deux", "three": "trois", "four": "quatre"}


def _determiner(rng: random.Random, role: str, plural: bool, feminine: bool) -> tuple[_Word, _Word]:
    """Draws an article or the like, in both languages."""
    key = f"{role}.det"
    if plural and rng.random() < 0.35:
        english = rng.choice(list(_NUMBERS))
        return _Word(english, key, True), _Word(_NUMBERS[english], key, True)
    if not plural and rng.random() < 0.25:
        return _Word("a", key), _Word("une" if feminine else "un", key)
    english = rng.choices(list(_DETERMINERS), weights=(5, 2, 1, 1))[0]
    french = _DETERMINERS[english].split()[2 if plural else int(feminine)]
    return _Word("these" if english == "this" and plural else english, key), _Word(french, key)


def _noun_phrase(
    rng: random.Random, role: str, nouns: _Table, adjectives: _Table, plural: bool
) -> tuple[list[_Word], list[_Word]]:
    """Draws determiner, noun and perhaps an adjective, which French puts before or after the noun."""
    noun = rng.choice(nouns)
    feminine = noun[4] == "f"
    det_en, det_fr = _determiner(rng, role, plural, feminine)
    noun_en = _Word(noun[int(plural)], f"{role}.noun", True)
    noun_fr = _Word(noun[2 + int(plural)], f"{role}.noun", True)
    english, french = [det_en, noun_en], [det_fr, noun_fr]
    if rng.random() < 0.6:
        before = rng.random() < 0.35
        adjective = rng.choice(_BEFORE if before else adjectives)
        english.insert(1, _Word(adjective[0], f"{role}.adj", True))
        french.insert(1 if before else 2, _Word(adjective[1 + 2 * plural + feminine], f"{role}.adj", True))
    if english[0].text == "a":
        english[0] = _Word(article(english[1].text), det_en.key)
    return english, french


def _place(rng: random.Random) -> tuple[list[_Word], list[_Word]]:
    """Draws a preposition with a place."""
    preposition, translation = rng.choice((("in", "dans"), ("in", "dans"), ("behind", "derrière"), ("under", "sous")))
    noun = rng.choice(_HIDEOUTS.get(preposition, _PLACES))
    english = [_Word(preposition, "prep", True), _Word("the", "place.det"), _Word(noun[0], "place.noun", True)]
    french = [
        _Word(translation, "prep", True),
        _Word("la" if noun[4] == "f" else "le", "place.det"),
        _Word(noun[2], "place.noun", True),
    ]
    return english, french


def _predicate(
    rng: random.Random, transitives: _Table, plural: bool, past: bool
) -> tuple[list[_Word], list[_Word], str]:
    """Draws a verb, perhaps with an adverb, and its object or place; also gives the verb."""
    transitive = rng.random() < 0.45
    verb = rng.choice(transitives if transitive else _INTRANSITIVE)
    english = [_Word(verb[2] if past else verb[int(plural)], "verb", True)]
    french = [_Word(verb[3 + 2 * past + plural], "verb", True)]
    if rng.random() < 0.3:
        adverb = rng.choice(_ADVERBS)
        english.insert(0, _Word(adverb[0], "adverb", True))
        french.append(_Word(adverb[1], "adverb", True))
    if transitive:
        more = _noun_phrase(rng, "object", _THINGS, _COLOURS, rng.random() < 0.25)
    else:
        more = _place(rng) if rng.random() < 0.8 else ([], [])
    return english + more[0], french + more[1], verb[0]


def _draw(rng: random.Random) -> tuple[str, Translation]:
    plural, past = rng.random() < 0.3, rng.random() < 0.35
    nouns, adjectives, transitives = rng.choice(
        ((_ANIMALS, _COLOURS, _TRANSITIVE), (_PEOPLE, _TRAITS, _TRANSITIVE + _CRAFTS))
    )
    english, french = _noun_phrase(rng, "subject", nouns, adjectives, plural)
    subject = next(word.text for word in french if word.key == "subject.noun")
    more_english, more_french, verb = _predicate(rng, transitives, plural, past)
    english, french = english + more_english, french + more_french
    if rng.random() < 0.3 and all(word.key != "adverb" for word in english):
        time = rng.choice(_TIMES[past])
        at = 0 if rng.random() < 0.3 else len(english)
        english.insert(at, _Word(time[0], "time", True))
        french.insert(0 if at == 0 else len(french), _Word(time[1], "time", True))
    return f"{subject}|{verb}", _translation(english, french)


def _translation(english: list[_Word], french: list[_Word]) -> Translation:
    places = {word.key: index for index, word in enumerate(english)}
    return Translation(
        source=sentence(" ".join(word.text for word in english)) + ".",
        target=sentence(" ".join(word.text for word in french)) + ".",
        alignment=tuple((index, places[word.key]) for index, word in enumerate(french)),
        content=tuple(index for index, word in enumerate(french) if word.content),
    )


def translations(n: int, seed: int = CORPUS_SEED, split: Split = "train") -> list[Translation]:
    """Makes sentences with their translation.

    One in ten combinations of a subject with a verb is held out: it occurs in the test split only.

    Args:
        n: Number of sentences.
        seed: Seed of the generator.
        split: `"train"` or `"test"`.

    Returns:
        The sentences, the same ones for the same arguments.

    Raises:
        ValueError: If `split` is unknown.
    """
    return draw_split(_draw, n, seed, split)
