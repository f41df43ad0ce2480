import { useMutation, useQueryClient } from "@tanstack/react-query";

/** A change; what is shown of those kinds is asked for again once it is done. */
export function useChange<T>(change: () => Promise<T>, kinds: readonly string[], onDone?: (done: T) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (done) => {
      for (const kind of kinds) void queries.invalidateQueries({ queryKey: [kind] });
      onDone?.(done);
    },
  });
}
