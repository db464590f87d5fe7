// The features with net/http. usage: client BASE FEATURE…
package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

var base string
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}

func call(method, path string, status int, body string, headers map[string]string) (*http.Response, []byte) {
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	check(err)
	if body == "" {
		request.Body, request.GetBody, request.ContentLength = nil, nil, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != status {
		panic(fmt.Sprintf("%s %s: %d %.200s", method, path, response.StatusCode, text))
	}
	return response, text
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func require(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

func create(nome string, headers map[string]string) (*http.Response, []byte) {
	return call("POST", "/api/v1/projetos", 201, `{"nome":"`+nome+`"}`, headers)
}

var features = map[string]func(){
	"keep-alive": func() {
		for n := 0; n < 40; n++ {
			call("GET", "/healthz", 200, "", nil)
		}
	},
	"gzip": func() {
		response, text := call("GET", "/openapi.json", 200, "", nil)
		require(response.Uncompressed && json.Valid(text), "not compressed")
	},
	"HEAD": func() {
		_, text := call("HEAD", "/api/v1/projetos", 200, "", nil)
		require(len(text) == 0, "HEAD has a body")
		call("GET", "/api/v1/projetos", 200, "", nil)
	},
	"Expect": func() { create("Expect", map[string]string{"Expect": "100-continue"}) },
	"CSV": func() {
		response, text := call("GET", "/api/v1/atividades?formato=csv", 200, "", nil)
		require(strings.HasPrefix(response.Header.Get("Content-Type"), "text/csv"), "no CSV")
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		check(err)
		require(len(rows) > 300, "rows are missing")
	},
	"ETag": func() {
		created, _ := create("ETag", nil)
		path := created.Header.Get("Location")
		read, _ := call("GET", path, 200, "", nil)
		known := read.Header.Get("ETag")
		call("GET", path, 304, "", map[string]string{"If-None-Match": known})
		call("PUT", path, 412, `{"nome":"B"}`, map[string]string{"If-Match": `"antigo"`})
		call("PUT", path, 200, `{"nome":"B"}`, map[string]string{"If-Match": known})
	},
	"Idempotency-Key": func() {
		key := map[string]string{"Idempotency-Key": "go-" + base[len(base)-5:]}
		_, first := create("Uma vez", key)
		_, second := create("Uma vez", key)
		require(bytes.Equal(first, second), "created twice")
	},
	"cancellation": func() {
		for n := 0; n < 5; n++ {
			limit, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Millisecond)
			request, err := http.NewRequestWithContext(limit, "GET", base+"/api/v1/atividades?formato=csv", nil)
			check(err)
			if response, err := client.Do(request); err == nil {
				response.Body.Close()
			}
			cancel()
		}
		call("GET", "/healthz", 200, "", nil)
	},
}

func run(feature string) {
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Println(feature, "failed:", failure)
		}
	}()
	features[feature]()
	fmt.Println(feature, "ok")
}

func main() {
	base = os.Args[1]
	for _, feature := range os.Args[2:] {
		run(feature)
	}
}
