"""Words of free text, counted alike by the stages and the monitor, and the vocabulary that hides them in hashes.

Scripts without spaces (Chinese, Japanese, Korean syllables) count by character, as search engines do.
"""

import base64
import re
import zlib
from collections import Counter
from collections.abc import Iterable

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD_PATTERN = rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{2,}}"
"""A word has at least two letters or digits; single ones, and punctuation, tell little."""
_WORD = re.compile(WORD_PATTERN)
_BITS = 1 << 17
"""Room for ten thousand words, of which others are mistaken for known in one case of thirteen; 22 KB of text."""
MOST_WORDS = 10_000
_FEWEST_TEXTS = 5
_FEWEST_SHARE = 0.001


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters.

    >>> words_of("A late train, again!"), words_of("東京へ")
    (['late', 'train', 'again'], ['東', '京', 'へ'])
    """
    return _WORD.findall(text.lower())


def word_hash(word: str) -> int:
    """Return a word's place in a vocabulary; the same in every process."""
    return zlib.crc32(word.encode()) % _BITS


def encode_vocabulary(texts: Iterable[str]) -> str:
    """Return the words that occur in several texts, as a text of hashed bits; at most the 10,000 most frequent ones.

    In at least five texts, and in one of a thousand: a word that would not come again is as unknown in the texts it
    is counted in as in those to come.
    """
    counts: Counter[str] = Counter()
    rows = 0
    for text in texts:
        counts.update(set(words_of(text)))
        rows += 1
    least = max(_FEWEST_TEXTS, int(_FEWEST_SHARE * rows))
    frequent = sorted(
        (word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word)
    )
    bits = bytearray(_BITS // 8)
    for word in frequent[:MOST_WORDS]:
        place = word_hash(word)
        bits[place >> 3] |= 1 << (place & 7)
    return base64.b64encode(zlib.compress(bytes(bits), 9)).decode()


def decode_vocabulary(vocabulary: str) -> bytes:
    """Return the bits of what `encode_vocabulary` returned; none are set in an empty one."""
    return zlib.decompress(base64.b64decode(vocabulary)) if vocabulary else bytes(_BITS // 8)


def share_unknown(words: list[str], bits: bytes) -> float:
    """Return which share of a text's words, at least one, is not in a vocabulary."""
    places = map(word_hash, words)
    return sum(not bits[place >> 3] >> (place & 7) & 1 for place in places) / len(words)
