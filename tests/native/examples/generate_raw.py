from ollama import generate

response = generate("codellama:7b-code", "[INST] why is the sky blue? [/INST]", raw=True)

print(response["response"], response.context)
