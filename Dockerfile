# A CPU image of avslowfast: INSTALL.md has the commands that build and run it.
FROM python:3.12-slim
ENV PIP_NO_CACHE_DIR=1 MPLCONFIGDIR=/tmp/matplotlib AVSLOWFAST_CACHE=/tmp/avslowfast
WORKDIR /opt/avslowfast
COPY . .
# The commands of INSTALL.md; a test compares them.
RUN python3 -m venv .venv && .venv/bin/pip install -e .
# Files that a network reads may be anybody's: nothing runs as root.
RUN useradd --create-home --uid 1000 avslowfast && install -d -o avslowfast /data
USER 1000
# The folder that is mounted: relative paths of commands start here.
WORKDIR /data
ENTRYPOINT ["/opt/avslowfast/.venv/bin/avslowfast"]
CMD ["--help"]
