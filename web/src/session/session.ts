import { queryOptions } from "@tanstack/react-query";
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

export async function logIn(email: string, password: string) {
  const { csrf_token } = await unwrap(api.POST("/api/auth/login", { body: { email, password } }));
  setCsrfToken(csrf_token);
}

export async function logOut() {
  await unwrap(api.POST("/api/logout"));
  setCsrfToken(null);
}
