# rota alone, for images of your own: FROM rota, or COPY --from=rota /usr/bin/rota (README.md, "In a container").
#
#   docker build -t rota .
#
# The program carries every library but the C library, so it runs in any image whose C library is as new as that of BASE;
# for one of Debian 12: --build-arg BASE=debian:bookworm-slim.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
WORKDIR /src
# What changes seldom comes first, so that its layer is kept.
COPY scripts/setup scripts/debian-source scripts/
RUN scripts/setup
COPY . .
RUN cmake --preset release -B /build -DCMAKE_INSTALL_PREFIX=/usr -DROTA_STATIC=ON -DROTA_TESTS=OFF \
 && cmake --build /build \
 && DESTDIR=/out cmake --install /build --strip \
 && for library in libuv1-dev libllhttp-dev libyaml-cpp-dev libfmt-dev libstdc++6; do \
      install -D -m 644 /usr/share/doc/$library/copyright /out/usr/share/doc/rota/libraries/$library; \
    done \
 && install -D -m 644 conf/container.yaml /out/etc/rota/rota.yaml

FROM ${BASE}
COPY --from=build /out/usr/bin/rota /usr/bin/rota
COPY --from=build /out/usr/share/doc/rota /usr/share/doc/rota
COPY --from=build /out/etc/rota /etc/rota
# A number, because a cluster that forbids root has to see that this is not root. rota keeps its sockets in /tmp/rota-10001: in a
# container that may not write to its own file system, /tmp is a tmpfs.
RUN groupadd --gid 10001 rota \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rota
WORKDIR /app
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["rota", "probe", "8080"]
ENTRYPOINT ["rota"]
CMD ["run", "-c", "/etc/rota/rota.yaml"]
