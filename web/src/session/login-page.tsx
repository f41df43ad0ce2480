import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { Brand } from "@/app/brand";
import { TERMINAL_PAGE } from "@/terminal/place";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { useTitle } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { inside } from "./inside";
import { logIn, sessionQuery } from "./session";

export default function LoginPage() {
  useTitle("Log in");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { next } = useSearch({ from: "/login" });
  const login = useMutation({
    mutationFn: () => logIn(email, password),
    onSuccess: async () => {
      await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
      const to = inside(next);
      // A document of its own, which the router does not know.
      if (to.startsWith(TERMINAL_PAGE)) window.location.replace(to);
      else await navigate({ to, replace: true });
    },
  });
  return (
    <main className="mx-auto flex min-h-dvh max-w-sm flex-col justify-center gap-6 p-4">
      <Brand />
      <form
        className="space-y-4 rounded-lg border border-line bg-surface p-5"
        onSubmit={(event) => {
          event.preventDefault();
          login.mutate();
        }}
      >
        <h1 className="text-lg font-semibold">Log in</h1>
        <Field
          label="E-mail address"
          type="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <Field
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <ProblemNote error={login.error} />
        <Button type="submit" look="primary" className="w-full" busy={login.isPending}>
          Log in
        </Button>
      </form>
      <p className="text-center text-muted">
        The first start of a cluster prints the admin’s address and password once.
      </p>
    </main>
  );
}
