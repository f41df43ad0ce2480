import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeQueries } from "./app/queries";
import { makeRouter } from "./app/router";
import { applyTheme } from "./ui/theme";
import "./ui/styles.css";

applyTheme();

const queries = makeQueries(() => {
  const { pathname, search } = window.location;
  if (pathname === "/login") return;
  queries.removeQueries({ queryKey: ["session"] });
  void router.navigate({ to: "/login", search: { next: pathname + search }, replace: true });
});
const router = makeRouter(queries);

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
