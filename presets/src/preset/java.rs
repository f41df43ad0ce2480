//! Java: Maven or Gradle, Spring Boot and others that package one runnable jar.
//!
//! Recognised by pom.xml, or by build.gradle with its wrapper. Writes a build, and an image that runs the jar.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::capture;
use crate::source::Source;

const PORT: u16 = 8_080;
/// The version whose images build everything up to it.
const VERSION_DEFAULT: u32 = 21;
const GRADLE: &[&str] = &["build.gradle", "build.gradle.kts"];
/// Jars beside the runnable one.
const OTHER_JARS: &str = "(-plain|-sources|-javadoc|-tests|/original-[^/]*)[.]jar$";

pub(crate) const PRESET: Preset = Preset {
    name: "java",
    looks_for: "pom.xml, or build.gradle with gradlew",
    recognise: |source| {
        let gradle = source.first_of(GRADLE).filter(|_| source.tree.exists("gradlew"));
        Ok(source.first_of(&["pom.xml"]).or(gradle).map(|file| format!("there is {file}")))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let writer = if source.tree.exists("pom.xml") {
        maven(source)
    } else if source.tree.exists("gradlew") {
        gradle(source)
    } else {
        return Err(DetectError::FileMissing { preset: PRESET.name, file: "pom.xml or gradlew" });
    };
    let port = configured_port(source).unwrap_or(PORT);
    let start =
        source.start().unwrap_or_else(|| "java -XX:MaxRAMPercentage=75 -jar /app/app.jar".into());
    let effective = source.port_or(port);
    let writer = writer
        .from(&format!("eclipse-temurin:{}-jre", version(source)), None)
        .line("WORKDIR /app")
        .copy_from("build", "/out/app.jar", "/app/app.jar")
        .line(format!(
            "ENV SERVER_PORT={effective} QUARKUS_HTTP_PORT={effective} QUARKUS_HTTP_HOST=0.0.0.0"
        ))
        .listen(effective)
        .start(&start);
    Ok(Plan::server(writer, port))
}

fn maven(source: Source) -> Writer {
    let cached = |command: String| Run::of(command).cache("maven", "/root/.m2");
    let build = source.build_command().unwrap_or_else(|| "mvn -B -DskipTests package".into());
    let alone = !source.text_of(&["pom.xml"]).contains("<modules>");
    Writer::default()
        .from(&format!("maven:3-eclipse-temurin-{}", version(source)), Some("build"))
        .prepare()
        .line("WORKDIR /src")
        .when(alone, |writer| {
            writer.copy(&["pom.xml"], "./").run(cached("mvn -B dependency:go-offline".into()))
        })
        .copy(&["."], ".")
        .build_by(cached(format!("{build} && {}", keep("target"))))
}

fn gradle(source: Source) -> Writer {
    let build = source.build_command().unwrap_or_else(|| {
        let task = if source.text_of(GRADLE).contains("org.springframework.boot") {
            "bootJar"
        } else {
            "assemble"
        };
        format!("./gradlew --no-daemon {task}")
    });
    Writer::default()
        .from(&format!("eclipse-temurin:{}-jdk", version(source)), Some("build"))
        .prepare()
        .line("WORKDIR /src")
        .copy(&["."], ".")
        .build_by(
            Run::of(format!("chmod +x gradlew && {build} && {}", keep("build/libs")))
                .locked_cache("gradle", "/root/.gradle"),
        )
}

/// Puts the largest jar that runs where the next stage finds it.
fn keep(folder: &str) -> String {
    format!(
        "mkdir -p /out && cp \"$(ls -S {folder}/*.jar | grep -vE '{OTHER_JARS}' | head -n 1)\" /out/app.jar"
    )
}

/// The default, unless the build files ask for a newer one.
fn version(source: Source) -> u32 {
    let pom = source.text_of(&["pom.xml"]);
    let gradle = source.text_of(GRADLE);
    let asked = capture(r"<(?:java\.version|maven\.compiler\.release|release)>(\d+)<", &pom)
        .or_else(|| capture(r"JavaLanguageVersion\.of\((\d+)\)", &gradle));
    asked
        .and_then(|version| version.parse().ok())
        .map_or(VERSION_DEFAULT, |version: u32| version.max(VERSION_DEFAULT))
}

/// `server.port` of Spring's configuration, where it is a number.
fn configured_port(source: Source) -> Option<u16> {
    let properties = source.text_of(&["src/main/resources/application.properties"]);
    capture(r"(?m)^server\.port\s*=\s*(\d{2,5})\s*$", &properties)?.parse().ok()
}
