# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/gateway && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY adapters adapters
COPY gateway gateway
RUN /opt/gateway/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/gateway /opt/gateway
RUN useradd --system --create-home --home-dir /var/lib/ollama-gateway gateway
USER gateway
WORKDIR /var/lib/ollama-gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 11435
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:11435/healthz', timeout=2)"]
ENTRYPOINT ["ollama-gateway"]
CMD ["serve"]
