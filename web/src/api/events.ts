/** Takes server-sent events apart: `push` gets text as it comes, `onData` the data of each event. */
export function eventParser(onData: (data: string) => void): { push(text: string): void } {
  let rest = "";
  let data: string[] = [];
  const line = (text: string) => {
    if (text === "") {
      if (data.length > 0) onData(data.join("\n"));
      data = [];
    } else if (text.startsWith("data:")) {
      data.push(text.slice(text.startsWith("data: ") ? 6 : 5));
    }
  };
  return {
    push(text) {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const one of lines) line(one);
    },
  };
}
