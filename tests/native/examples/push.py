from ollama import copy, push

copy("llama3.2", "user/llama3.2")
print(push("user/llama3.2")["status"])

statuses = [progress["status"] for progress in push("user/llama3.2", stream=True)]
print(statuses[0], statuses[-1])
