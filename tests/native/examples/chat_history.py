from ollama import chat

messages: list[dict[str, str | None]] = [
    {"role": "user", "content": "Why is the sky blue?"},
    {"role": "assistant", "content": "The sky is blue because of the way the Earth's atmosphere scatters sunlight."},
]
response = chat("llama3.2", messages=[*messages, {"role": "user", "content": "And at night?"}])
messages += [{"role": "user", "content": "And at night?"}, {"role": "assistant", "content": response.message.content}]

print(len(messages), messages[-1]["content"])
