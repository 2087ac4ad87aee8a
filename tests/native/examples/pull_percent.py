import ollama

percentages: dict[str, list[float]] = {}
for progress in ollama.pull("mistral", stream=True):
    status, digest, completed, total = progress.status, progress.digest, progress.completed, progress.total
    if digest and total:
        percentages.setdefault(digest, []).append(100 * (completed or 0) / total)
    else:
        print(status)

for steps in percentages.values():
    print(steps == sorted(steps), steps[-1])
