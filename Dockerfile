# One image for api, worker, relay, beat and migrate: the command decides, `api` is the default.
# docs/OPERATIONS.md says how to build it and what it needs to run.

# The newest Python that requirements.lock supports. A deployment names it by digest:
# --build-arg PYTHON_IMAGE=docker.io/library/python@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.14-slim-trixie


FROM ${PYTHON_IMAGE} AS packages
COPY requirements.lock /
# As platform/cli/install.py does it: nothing is resolved, nothing is built. Bytecode is written
# here, because no process can write it into a read-only file system.
RUN python3 -m venv --without-pip /opt/python \
 && python3 -m pip --python /opt/python/bin/python install --disable-pip-version-check --no-input \
    --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /requirements.lock
COPY features /app/features
COPY platform /app/platform
COPY supabase/migrations /app/supabase/migrations
COPY deploy/image/health.py LICENSE /app/
RUN printf '/app\n/app/platform\n' >"$(echo /opt/python/lib/python3*/site-packages)/app.pth" \
 && chmod -R u=rwX,go=rX /app \
 && /opt/python/bin/python -m compileall -q /app


FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.licenses="MIT"
COPY --from=packages /opt/python /opt/python
COPY --from=packages /app /app
ENV PATH=/opt/python/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    APP_ENV=production \
    API_HOST=0.0.0.0 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9464 \
    HEARTBEAT_FILE=/tmp/heartbeat
# Nothing is written but /tmp: run it with a read-only root and a tmpfs there.
WORKDIR /app
USER 10001:10001
EXPOSE 8000 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "/app/health.py"]
ENTRYPOINT ["python", "-m", "cli"]
CMD ["api"]
