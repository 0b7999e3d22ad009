"""Make src/coursekit/film_ratings.tsv.gz from the source distribution of vaderSentiment 2.5 (MIT).

    pip download --no-deps --no-binary :all: vaderSentiment==2.5
    python tools/make_film_ratings.py vaderSentiment-2.5.tar.gz

Each line: the ratings of one film-review sentence by its human raters (−4 … 4), a tab, the sentence.
Source: Hutto and Gilbert 2014. The sentences are short excerpts of reviews (Pang and Lee 2005).
"""

import ast
import gzip
import io
import sys
import tarfile
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "coursekit" / "film_ratings.tsv.gz"


def main(archive):
    with tarfile.open(archive) as outer:
        packed = next(m for m in outer if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(outer.extractfile(packed).read())) as inner:
            files = {Path(m.name).name: inner.extractfile(m).read().decode("latin-1") for m in inner if m.isfile()}
    texts = dict(line.split("\t")[::2] for line in files["movieReviewSnippets_GroundTruth.txt"].splitlines())
    lines = []
    for line in files["movieReviewSnippets_anonDataRatings.txt"].splitlines():
        key, _, _, ratings = line.split("\t")
        if key in texts:
            lines.append(" ".join(map(str, ast.literal_eval(ratings))) + "\t" + " ".join(texts[key].split()))
    with open(TARGET, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("\n".join(lines).encode())
    print(f"{len(lines):,} sentences, {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])
