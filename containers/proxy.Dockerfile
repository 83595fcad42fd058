# The proxy on port 8082. Build it from the repository's root:
#   docker build -f containers/proxy.Dockerfile -t movierec-proxy .
FROM python:3.13-slim AS packages
COPY requirements/proxy.txt /tmp/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/proxy.txt

FROM python:3.13-slim
# The journal of what was served: give it a volume, or a killed container loses what is not shipped.
RUN useradd --system --uid 10001 movierec && install -d -o movierec /var/lib/movierec
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY src src
COPY proxy proxy
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app/src:/app PYTHONUNBUFFERED=1
USER movierec
VOLUME /var/lib/movierec
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
  ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8082/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "proxy", "--folder=/var/lib/movierec"]
CMD ["--host=0.0.0.0"]
