# eclipse-temurin:VERSION, openjdk and maven from Debian's OpenJDK.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && mkdir -p /usr/share/man/man1 && apt-get install -qy --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /opt/java && ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")" /opt/java/openjdk
ENV JAVA_HOME=/opt/java/openjdk LANG=en_US.UTF-8 LANGUAGE=en_US:en LC_ALL=C.UTF-8
ENV PATH=$JAVA_HOME/bin:$PATH MAVEN_HOME=/usr/share/maven
RUN java -version
