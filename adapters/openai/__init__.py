"""The dialect of OpenAI, which is served: one module for each endpoint's requests and answers."""
