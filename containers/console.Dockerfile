# The console on port 8084. Build it from the repository's root:
#   docker build -f containers/console.Dockerfile -t movierec-console .
FROM python:3.13-slim AS packages
COPY requirements/console.txt /tmp/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/console.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 movierec
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY src src
COPY console console
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/src:/app PYTHONUNBUFFERED=1
USER movierec
EXPOSE 8084
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
  ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8084/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "console"]
# It refuses to start on this address without MOVIEREC_CONSOLE_TOKEN.
CMD ["--host=0.0.0.0"]
