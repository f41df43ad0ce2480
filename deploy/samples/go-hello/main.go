// A page, its style and a health check, in one binary.
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

//go:embed home.html style.css
var files embed.FS

var home = template.Must(template.ParseFS(files, "home.html"))

type view struct{ Greeting, Version string }

func main() {
	facts := view{cmp.Or(os.Getenv("GREETING"), "Hello"), runtime.Version()}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if err := home.Execute(w, facts); err != nil {
			log.Print(err)
		}
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok"))
	})
	http.Handle("GET /style.css", http.FileServerFS(files))
	serve(&http.Server{
		Addr:              ":" + cmp.Or(os.Getenv("PORT"), "3000"),
		ReadHeaderTimeout: 10 * time.Second,
	})
}

// serve runs until SIGTERM and then lets requests that have begun finish.
func serve(server *http.Server) {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	done := make(chan error)
	go func() {
		<-stop.Done()
		done <- server.Shutdown(context.Background())
	}()
	log.Printf("listening on %s", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}
