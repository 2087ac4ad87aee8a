import ollama

model = "does-not-yet-exist"

try:
    ollama.chat(model)
except ollama.ResponseError as error:
    print("Error:", error.error)
    if error.status_code == 404:
        print("Pulling:", ollama.pull(model).status)

print(ollama.chat(model, [{"role": "user", "content": "Hello!"}]).message.content)

for big, options in (("qwen3", {"num_ctx": 64}), ("llama3.1:405b", {})):
    try:
        ollama.chat(big, [{"role": "user", "content": "word " * 5000}], options=options)
    except ollama.ResponseError as error:
        print(error.status_code, error.error)

try:
    ollama.Client(host="http://127.0.0.1:1").list()
except ConnectionError as error:
    print(error)
