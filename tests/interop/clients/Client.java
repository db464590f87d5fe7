import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.ArrayList;
import java.util.zip.GZIPInputStream;

/** The features with HttpClient, which asks for HTTP/2 on each new connection. usage: Client BASE FEATURE… */
public class Client {
    static String base;
    static final HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(20));
    }

    static HttpResponse<byte[]> call(HttpRequest request, int status) throws Exception {
        var response = client.send(request, BodyHandlers.ofByteArray());
        if (response.statusCode() != status) {
            throw new IllegalStateException(request.method() + " " + request.uri() + ": " + response.statusCode() + " " + new String(response.body()));
        }
        return response;
    }

    static HttpResponse<byte[]> get(String path) throws Exception {
        return call(request(path).build(), 200);
    }

    static HttpRequest.Builder creation(String nome) {
        var body = BodyPublishers.ofString("{\"nome\":\"" + nome + "\"}");
        return request("/api/v1/projetos").header("Content-Type", "application/json").POST(body);
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    static void run(String feature) throws Exception {
        switch (feature) {
            case "keep-alive" -> {
                for (int n = 0; n < 40; n++) {
                    get("/healthz");
                }
            }
            case "gzip" -> {
                var response = call(request("/openapi.json").header("Accept-Encoding", "gzip").build(), 200);
                check(response.headers().firstValue("content-encoding").orElse("").equals("gzip"), "not compressed");
                var text = new String(new GZIPInputStream(new ByteArrayInputStream(response.body())).readAllBytes());
                check(text.contains("\"openapi\""), text);
            }
            case "HEAD" -> {
                var head = call(request("/api/v1/projetos").method("HEAD", BodyPublishers.noBody()).build(), 200);
                check(head.body().length == 0, "HEAD has a body");
                check(get("/api/v1/projetos").body().length > 2, "GET has none");
            }
            case "Expect" -> call(creation("Expect").expectContinue(true).build(), 201);
            case "CSV" -> {
                var response = get("/api/v1/atividades?formato=csv");
                check(response.headers().firstValue("content-type").orElse("").startsWith("text/csv"), "no CSV");
                check(new String(response.body(), "UTF-8").lines().count() > 300, "rows are missing");
            }
            case "ETag" -> {
                var path = call(creation("ETag").build(), 201).headers().firstValue("location").orElseThrow();
                var known = get(path).headers().firstValue("etag").orElseThrow();
                call(request(path).header("If-None-Match", known).build(), 304);
                var body = BodyPublishers.ofString("{\"nome\":\"B\"}");
                var put = request(path).header("Content-Type", "application/json").PUT(body);
                call(put.copy().header("If-Match", "\"antigo\"").build(), 412);
                call(put.copy().header("If-Match", known).build(), 200);
            }
            case "Idempotency-Key" -> {
                var request = creation("Uma vez").header("Idempotency-Key", "java-" + base.substring(base.length() - 5)).build();
                check(Arrays.equals(call(request, 201).body(), call(request, 201).body()), "created twice");
            }
            case "cancellation" -> {
                for (int n = 0; n < 5; n++) {
                    var pending = client.sendAsync(request("/api/v1/atividades?formato=csv").build(), BodyHandlers.ofByteArray());
                    Thread.sleep(n);
                    pending.cancel(true);
                }
                get("/healthz");
            }
            case "upgrade" -> {
                var pool = Executors.newFixedThreadPool(8);
                var calls = new ArrayList<Future<?>>();
                for (int n = 0; n < 1000; n++) {
                    var request = creation("upgrade-java-" + n).build();
                    calls.add(pool.submit(() -> call(request, 201)));
                }
                for (var call : calls) {
                    call.get();
                }
                pool.shutdown();
            }
            default -> throw new IllegalArgumentException(feature);
        }
    }

    public static void main(String[] arguments) {
        base = arguments[0];
        for (var feature : Arrays.asList(arguments).subList(1, arguments.length)) {
            try {
                run(feature);
                System.out.println(feature + " ok");
            } catch (Exception error) {
                System.out.println(feature + " failed: " + error);
            }
        }
        System.exit(0);
    }
}
