FROM python:3.11-slim-bookworm AS build
COPY requirements.lock .
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.11-slim-bookworm
# util-linux has unshare and setpriv, which keep a run's processes together.
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini util-linux \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home sentinel \
 && install -d -o sentinel -g sentinel -m 0700 /var/lib/sentinel
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/sentinel
COPY . .
RUN /opt/venv/bin/python -m sentinel_project.client.launcher /opt/venv/bin/sentinel
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SENTINEL_RUN_DIR=/var/lib/sentinel
USER sentinel
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn", "sentinel_project.wsgi:application", "--bind", "0.0.0.0:8000", \
     "--worker-class", "sentinel_project.serving.worker.Worker", \
     "--workers", "2", "--threads", "16", "--no-control-socket"]
