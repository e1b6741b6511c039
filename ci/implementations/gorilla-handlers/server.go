package main

import (
	"net/http"
	"os"

	"github.com/gorilla/handlers"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/items", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Total", "1")
		w.Write([]byte("[1]"))
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", 500) })
	mux.Handle("/old", http.RedirectHandler("/items", 302))
	cors := handlers.CORS(
		handlers.AllowedOrigins([]string{"https://app.example"}), handlers.AllowedMethods([]string{"GET", "HEAD", "POST", "PUT"}),
		handlers.AllowedHeaders([]string{"content-type", "x-token"}), handlers.ExposedHeaders([]string{"x-total"}),
		handlers.AllowCredentials(), handlers.MaxAge(600))
	http.ListenAndServe("127.0.0.1:"+os.Args[1], cors(mux))
}
