from ollama import chat

stream = chat(model="llama3.2", messages=[{"role": "user", "content": "Why is the sky blue?"}], stream=True)

for chunk in stream:
    print(chunk["message"]["content"], end="", flush=True)
print()
