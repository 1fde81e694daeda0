# One target per service: docker compose build, or docker build --target publisher .
#
# All images share the layers of `service`; the two of the tasks share those of `tasks` as well. What a service needs
# besides is installed beside those packages, into /extra, so that no layer holds a package twice.
FROM python:3.13-slim AS packages
COPY requirements/base.lock .
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes --requirement base.lock

FROM packages AS dashboard-packages
COPY requirements/dashboard.lock .
RUN pip --python /venv/bin/python install --quiet --no-cache-dir --disable-pip-version-check --prefix /extra \
        --require-hashes --requirement dashboard.lock

FROM packages AS tasks-packages
COPY requirements/tasks.lock .
RUN pip --python /venv/bin/python install --quiet --no-cache-dir --disable-pip-version-check --prefix /extra \
        --require-hashes --requirement tasks.lock

FROM python:3.13-slim AS service
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app/shared
WORKDIR /app
COPY --from=packages /venv /venv
COPY shared shared

FROM service AS publisher
COPY publisher publisher
# numeric, so that an orchestrator can see that it is not root
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["python", "-m", "publisher", "health"]
CMD ["python", "-m", "publisher"]

FROM service AS subscriber
COPY subscriber subscriber
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["python", "-m", "subscriber", "health"]
CMD ["python", "-m", "subscriber"]

FROM service AS dashboard
# inside a container every interface is its own network: publish the port on 127.0.0.1 of the host
ENV DASHBOARD_HOST=0.0.0.0 HEALTH_FILE=/tmp/health
COPY --from=dashboard-packages /extra /venv
COPY dashboard dashboard
EXPOSE 8321
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["python", "-m", "dashboard", "health"]
CMD ["python", "-m", "dashboard"]

FROM service AS tasks
COPY --from=tasks-packages /extra /venv
COPY tasks tasks
# for DATABASE_URL and INDEX_URL that name files: a volume mounted here gets this folder's owner
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001

FROM tasks AS tasks-api
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["python", "-m", "tasks.api", "health"]
CMD ["python", "-m", "tasks.api"]

FROM tasks AS tasks-indexer
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["python", "-m", "tasks.indexer", "health"]
CMD ["python", "-m", "tasks.indexer"]
