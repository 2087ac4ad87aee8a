from ollama import pull


class Bar:
    """What `tqdm` does here: it counts up to a total."""

    def __init__(self, total: int, desc: str) -> None:
        self.total = total
        self.desc = desc
        self.n = 0
        self.closed = False

    def update(self, n: int) -> None:
        assert n >= 0, "backwards"
        self.n += n
        assert self.n <= self.total, "too far"

    def close(self) -> None:
        self.closed = True


current_digest = ""
bars: dict[str | None, Bar] = {}
for progress in pull("mistral", stream=True):
    digest = progress.get("digest", "")
    if digest != current_digest and current_digest in bars:
        bars[current_digest].close()

    if not digest:
        print(progress.get("status"))
        continue

    if digest not in bars and (total := progress.get("total")):
        bars[digest] = Bar(total=total, desc=f"pulling {digest[7:19]}")

    if completed := progress.get("completed"):
        bars[digest].update(completed - bars[digest].n)

    current_digest = digest

print(all(bar.closed and bar.n == bar.total for bar in bars.values()), len(bars))
