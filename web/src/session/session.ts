import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { api, setCsrfToken, unwrap } from "@/api/client";

/** Who uses the page, and what they may do. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  staleTime: Infinity,
  queryFn: async () => {
    const me = await unwrap(api.GET("/api/user/me"));
    setCsrfToken(me.csrf_token ?? null);
    return me;
  },
});

/** The key of the mutation that ends every session, and opens a new one. */
export const PASSWORD_CHANGE = ["password"];

export async function logIn(email: string, password: string) {
  const { csrf_token } = await unwrap(api.POST("/api/auth/login", { body: { email, password } }));
  setCsrfToken(csrf_token);
}

async function logOut() {
  await unwrap(api.POST("/api/logout"));
  setCsrfToken(null);
}

/** Ends the session, and forgets all that was shown in it. */
export function useLogOut() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: logOut,
    onSuccess: async () => {
      await navigate({ to: "/login", search: {} });
      queries.clear();
    },
  });
}
