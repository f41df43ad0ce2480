import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeQueries } from "@/app/queries";
import { applyTheme, followTheme } from "@/ui/theme";
import { TerminalPage } from "./page";
import { placeOf } from "./place";
import "@/ui/styles.css";

applyTheme();
followTheme();

const queries = makeQueries(() => {
  const { pathname, search } = window.location;
  window.location.replace(`/login?next=${encodeURIComponent(pathname + search)}`);
});

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <TerminalPage place={placeOf(window.location.search)} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
