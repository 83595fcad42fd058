# The ingest worker: Kafka to the lake. Build it from the repository's root:
#   docker build -f containers/ingest_worker.Dockerfile -t movierec-ingest-worker .
FROM python:3.13-slim AS packages
COPY requirements/ingest_worker.txt /tmp/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/ingest_worker.txt

FROM python:3.13-slim
# It keeps nothing: offsets are in the lake's commits.
RUN useradd --system --uid 10001 movierec
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY src src
COPY ingest_worker ingest_worker
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/src:/app PYTHONUNBUFFERED=1
USER movierec
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD \
  ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8083/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "ingest_worker", "--health-port=8083"]
