import ollama

response: ollama.ListResponse = ollama.list()
print(*(model.model for model in response.models))

shown: ollama.ShowResponse = ollama.show("llama3.2")
print(shown.details.family if shown.details else None, shown.capabilities, bool(shown.template), bool(shown.modelinfo))

print(ollama.copy("llama3.2", "user/llama3.2")["status"])
print("user/llama3.2:latest" in [model.model for model in ollama.list().models])

print(ollama.delete("user/llama3.2")["status"])
print("user/llama3.2:latest" in [model.model for model in ollama.list().models])

ollama.chat("llama3.2", [{"role": "user", "content": "Why is the sky blue?"}])
print(*(model.name for model in ollama.ps().models))
