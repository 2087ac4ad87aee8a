from ollama import Client

client = Client()
response = client.create(
    model="my-assistant",
    from_="llama3.2",
    system="You are mario from Super Mario Bros.",
    parameters={"temperature": 0.5},
    stream=False,
)
print(response.status)

print([part.status for part in client.create(model="my-assistant", from_="llama3.2", stream=True)][-1])
