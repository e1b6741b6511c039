package main

import (
	"net/http"
	"os"

	"github.com/rs/cors"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/items", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Total", "1")
		w.Write([]byte("[1]"))
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", 500) })
	mux.Handle("/old", http.RedirectHandler("/items", 302))
	options := cors.Options{
		AllowedOrigins: []string{"https://app.example"}, AllowedMethods: []string{"GET", "HEAD", "POST", "PUT"},
		AllowedHeaders: []string{"content-type", "x-token"}, ExposedHeaders: []string{"x-total"}, AllowCredentials: true, MaxAge: 600,
	}
	http.ListenAndServe("127.0.0.1:"+os.Args[1], cors.New(options).Handler(mux))
}
