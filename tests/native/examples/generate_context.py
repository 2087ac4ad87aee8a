from ollama import generate

first = generate("llava", "Remember the number seven.")
second = generate("llava", "Which number was it?", context=first["context"])

print(second["context"][:10] == first["context"][:10], len(second["context"]) > len(first["context"]))
