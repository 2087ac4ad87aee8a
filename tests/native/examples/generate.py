from ollama import generate

response = generate("llama3.2", "Why is the sky blue?")
print(response["response"])

for part in generate("llama3.2", "Why is the sky blue?", stream=True):
    print(part["response"], end="", flush=True)
print()
