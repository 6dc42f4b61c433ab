"""A compact guess at the language of a text: its script, and the small words that only some languages use."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SCRIPTS = {
    "LATIN": "", "CYRILLIC": "", "GREEK": "greek", "ARABIC": "", "HEBREW": "hebrew", "DEVANAGARI": "hindi",
    "BENGALI": "bengali", "TAMIL": "tamil", "TELUGU": "telugu", "THAI": "thai", "HANGUL": "korean",
    "HIRAGANA": "japanese", "KATAKANA": "japanese", "CJK": "chinese", "GEORGIAN": "georgian", "OTHER": "",
}  # fmt: skip
"""The scripts told apart, and the language where one stands for the script."""

_SMALL_WORDS = {
    "english": "the of and to in is that it was for with as on are this be by not have you at from which his "
    "they a an or will can my i if how what do no but were been has had their there these more "
    "than when which would could about into over other some only also "
    "such most after many "
    "she him them who whom whose where why its it's don't all both each few every then very just now here "
    "being did does done doing might must should shall get make made use used using like one two good well "
    "between through while during before against because within without until own same too much often even "
    "still yet though although however since around either neither another others someone something anything "
    "nothing everything people time year years way day work give given take write find said know need want "
    "think help following example list name create describe explain provide called number different part found "
    "known became including",
    "german": "der die und das ist nicht von mit sich den auf für ein eine dem zu im wird auch als wir sind "
    "hat des oder aber wenn wie bei nach aus einer einem eines war waren wurde wurden werden kann "
    "können haben hatte dass dieser diese dieses durch über unter nur noch mehr sehr man ihre ihrer "
    "zum zur vom",
    "french": "les des est une dans pour qui pas sur par plus avec sont cette mais nous aux être ont était du "
    "ne le la et un en ce se il elle ils ou où leur leurs comme peut peuvent autres ses son sa été "
    "même tout tous depuis pendant lorsque ainsi très entre après deux fait avait avoir",
    "spanish": "no los las del una por para con como más pero sus este fue son también entre está el muy hay sobre "
    "y su se al o le ha ser si ya cuando donde desde hasta puede pueden otros otra tiene tienen hace "
    "parte años así aunque tan todo todos mientras durante",
    "portuguese": "não uma dos para com mais como foi são também pelo pela ser está das nos ele ao isso muito seu "
    "os em um na da do no à às ou se quando onde desde até pode podem outros outra têm tem há parte "
    "anos assim embora todo todos enquanto durante mesmo essa esse esta este ela eles foram era sem "
    "sobre entre depois você ainda qualquer",
    "italian": "che della non una per sono gli nel alla più anche come questo dei delle è stato ha nella dal di "
    "il lo la i un uno ma se o quando dove può possono altri altra hanno anni così tutto tutti "
    "mentre durante essere stata stati loro suo sua degli dagli sulla molto dopo prima fino ogni",
    "dutch": "het een van niet dat zijn voor met ook aan maar deze worden naar werd door bij wordt heeft hij "
    "op om de en is in te die als was of uit tot dan nog wel kan kunnen meer zich hun haar geen veel "
    "waar wanneer omdat tussen onder hebben had zou dit wat over na",
    "swedish": "och att det som inte för med är på har till av den ett från kan var vid också när eller han en "
    "i om men sina sin sitt deras efter under mellan mycket blev blir skulle hade denna detta dessa "
    "genom kunde där än samt alla andra många",
    "danish": "og at det ikke til af en er på med som har blev efter også var hun fra kan der eller ved den de "
    "i men sin deres under mellem meget blive bliver skulle havde denne dette disse gennem kunne når "
    "hvor alle andre mange være været man fordi",
    "polish": "nie się jest na że w z do i jak ale przez tak dla jego został są tym także przy który oraz może "
    "było od po za tego tej które których ma mogą być był była były ich jej gdy kiedy ponieważ lub "
    "więc jako tylko bardzo wszystkie podczas między ten ta te",
    "czech": "není že se je na jsou v z do i a si jako byl pro při také které jeho který nebo podle mezi však "
    "roku jsem jen bylo od po za ten ta to tohoto této kteří kterých má mohou může být byla byly "
    "jejich její když protože než tedy velmi všechny během aby ani ještě ze až",
    "romanian": "și este care pentru din nu mai sunt fost prin sau după această său lui fi către între în a o cu "
    "de la un ce se ca dar ori când unde ale ai al lor sale poate pot avea are toate timp decât "
    "foarte asupra astfel fiecare",
    "turkish": "bir ve için ile bu olarak daha çok olan gibi kadar ne ancak sonra her değil de da en ise o ya "
    "mi ama olduğu olduğunu tarafından arasında bazı diğer kendi üzerinde önce yapılan eden birçok "
    "veya hem biri onun olması",
    "finnish": "ja on ei hänen sekä voi ettei että oli se hän mutta kun myös tai joka ovat kuin olla mukaan ole "
    "sen jotka jossa josta tämä tämän nämä niiden niitä sitä siitä olivat olleet vain jos koska "
    "kuten ennen jälkeen aikana kanssa voivat hyvin noin eivät ollut vuonna kaikki monet useita",
    "hungarian": "az és a hogy nem egy is volt meg csak már még ez azt vagy mint lehet után közül által de ha aki "
    "amely amelyek ami ezek azok nagyon lett lesz voltak majd minden között alatt akkor amikor mert "
    "több sok során illetve azonban pedig valamint fel el ki",
    "vietnamese": "và của là có cho trong không được với các một những để đã này người khi từ về như đó nhưng nếu "
    "hoặc đến ra vào lên rất nhiều hơn thì bị cũng đang sẽ nơi sau trước bởi",
    "indonesian": "yang dan di dengan untuk dari pada ini itu tidak adalah dalam oleh akan juga telah ke dapat "
    "tersebut mereka dia kami kita atau jika ketika karena namun seperti lebih banyak sangat antara "
    "setelah sebelum saat bisa menjadi sebuah orang tetapi",
    "russian": "и в не на что с как это он по но его к из у за от так все она для до был было они их её мы вы "
    "или если чем где когда который которая которые которых может могут были быть после также между "
    "этот эта эти того этого только более очень во со при под над ещё уже же бы себя время",
    "ukrainian": "і в не на що з як це він та до його від за але для був були також які її або під після вони їх "
    "ми ви якщо ніж де коли який яка яке яких може можуть бути між цей ця ці цього тільки більше "
    "дуже при над ще вже же себе час щоб тому проте через",
    "bulgarian": "и на в да не за се от това са със като по което има до но е той при или след те им му тя ние "
    "вие ако къде когато който която които може могат бъде бяха между този тази тези само повече "
    "много над още вече ще сме сте си един една едно както обаче",
    "arabic": "في من على إلى أن هذا التي عن مع كان ما لا هذه الذي كل بعد قد وقد بين ذلك هو هي هم كانت يمكن "
    "خلال حيث عند أو ثم إذا أكثر غير عام تم عندما منذ أي ذات",
    "persian": "و در به از که این را است با برای آن یک خود تا شد می بر بود شده های او کرد کرده کند کنند باشد "
    "دارد دارند نیز هم اگر یا بین پس بیش چند همه دیگر",
    "urdu": "کے کی میں ہے اور سے کا کو نے پر یہ ہیں کہ جو اس تھا نہیں ایک بھی تھے گیا گئے گئی رہا رہے رہی جا "
    "سکتا سکتے جب اگر یا بعد دو تک ان ہوتا ہوتی ہوئے لیے",
}
WRITTEN_IN = dict.fromkeys(_SMALL_WORDS, "LATIN")
WRITTEN_IN |= dict.fromkeys(("russian", "ukrainian", "bulgarian"), "CYRILLIC")
WRITTEN_IN |= dict.fromkeys(("arabic", "persian", "urdu"), "ARABIC")
WRITTEN_IN |= {language: script for script, language in reversed(SCRIPTS.items()) if language}
"""The script of each language (the commonest one)."""

LANGUAGES = tuple(WRITTEN_IN)
"""The languages told apart."""


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """For each code point below 65,536 the position of its script in :data:`SCRIPTS`."""
    names = list(SCRIPTS)
    place = {name: i for i, name in enumerate(names)}
    other = place["OTHER"]
    return np.array(
        [place.get(unicodedata.name(chr(c), "OTHER").split()[0].split("-")[0], other) for c in range(65_536)], np.uint8
    )


def word_hash(word: str) -> int:
    """The 64-bit FNV-1a hash over the code points of a word, as the counting kernel computes it."""
    h = 1469598103934665603
    for character in word.lower():
        h = ((h ^ ord(character)) * 1099511628211) % 2**64
    return h


@cache
def stop_words() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    """Hashes of the small words, ascending, shape (w,), and how much each speaks for each language, shape (w, l).

    A word shared by m languages counts 1 / m for each.
    """
    found: dict[int, set[int]] = {}
    for language, words in _SMALL_WORDS.items():
        for word in words.split():
            found.setdefault(word_hash(word), set()).add(LANGUAGES.index(language))
    hashes = np.array(sorted(found), np.uint64)
    weights = np.zeros((len(hashes), len(LANGUAGES)))
    for i, h in enumerate(hashes.tolist()):
        for language_index in found[h]:
            weights[i, language_index] = 1 / len(found[h])
    return hashes, weights
