import { StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";
import "./style.css";

// Vite writes variables with this prefix into the build.
const greeting = import.meta.env.VITE_GREETING ?? "Hello";

function Page() {
  const [clicks, setClicks] = useState(0);
  return (
    <main>
      <h1>{greeting} from React</h1>
      <p>
        React <code>{version}</code>, built by Vite while Temps deployed it. The edge serves the files with no container.
      </p>
      <button onClick={() => setClicks(clicks + 1)}>
        {clicks === 0 ? "Click me" : `Clicked ${clicks} ${clicks === 1 ? "time" : "times"}`}
      </button>
    </main>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
