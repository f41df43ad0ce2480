FROM maven:3-eclipse-temurin-21 AS build
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
WORKDIR /src
COPY pom.xml ./
RUN --mount=type=cache,id=temps-maven,target=/root/.m2 \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && mvn -B dependency:go-offline
COPY . .
ARG TEMPS_VARIABLES
RUN --mount=type=cache,id=temps-maven,target=/root/.m2 \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && mvn -B -DskipTests package && mkdir -p /out && cp "$(ls -S target/*.jar | grep -vE '(-plain|-sources|-javadoc|-tests|/original-[^/]*)[.]jar$' | head -n 1)" /out/app.jar

FROM eclipse-temurin:21-jre
WORKDIR /app
COPY --from=build /out/app.jar /app/app.jar
ENV SERVER_PORT=8080 QUARKUS_HTTP_PORT=8080 QUARKUS_HTTP_HOST=0.0.0.0
ENV HOST=0.0.0.0 PORT=8080
EXPOSE 8080
CMD ["/bin/sh","-c","exec java -XX:MaxRAMPercentage=75 -jar /app/app.jar"]
