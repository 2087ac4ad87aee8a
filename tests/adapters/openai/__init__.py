"""Tests of the dialect of OpenAI."""
