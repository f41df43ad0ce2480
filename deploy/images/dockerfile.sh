# shellcheck shell=bash
# Which images a Dockerfile needs before it can be built.

# images_of_dockerfile FOLDER-OR-FILE: the images of its FROM and COPY --from lines, once each. Build stages and
# `scratch` are no images; ARG defaults before the first FROM are filled in.
images_of_dockerfile() {
    local file=$1
    [[ ! -d $file ]] || file=$file/Dockerfile
    [[ -f $file ]] || die "there is no $file" 'give the folder that holds the Dockerfile'
    awk '
        function known(name) { return name == "scratch" || name in stage || name ~ /^[0-9]+$/ || name in seen }
        function fill(text,   key) {
            for (key in value) { gsub("\\$\\{" key "(:-[^}]*)?\\}", value[key], text); gsub("\\$" key, value[key], text) }
            if (match(text, /\$\{[A-Za-z_0-9]+:-[^}]*\}/)) sub(/\$\{[A-Za-z_0-9]+:-[^}]*\}/, substr(text, index(text, ":-") + 2, RLENGTH - index(text, ":-") + RSTART - 3), text)
            return text
        }
        function emit(name) { name = fill(name); if (name !~ /\$/ && !known(name)) { seen[name]; print name } }
        toupper($1) == "ARG" && split($2, pair, "=") == 2 { gsub(/["\047]/, "", pair[2]); value[pair[1]] = pair[2] }
        toupper($1) == "FROM" {
            at = ($2 ~ /^--/) ? 3 : 2
            emit($at)
            if (toupper($(at + 1)) == "AS") stage[$(at + 2)]
        }
        toupper($1) == "COPY" && match($0, /--from=[^ ]+/) { emit(substr($0, RSTART + 7, RLENGTH - 7)) }
    ' "$file"
}
