"""Every error is OpenAI's JSON, and names no path of the server."""

import dataclasses

import httpx
import pytest
from sra_pipelines.index.schema import StoreError
from sra_pipelines.server.public_messages import without_paths

BODY = {"model": "sra-rag", "messages": [{"role": "user", "content": "What is the rent?"}], "max_tokens": 2}


def check(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    return response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/models/gpt", 404),
        ("GET", "/v1/models/a/b%ED%A0%80", 404),
        ("GET", "/v1/documents", 404),
        ("DELETE", "/v1/documents/x", 404),
        ("GET", "/", 404),
    ],
)
def test_routes_that_do_not_exist(lease_client, method, path, status):
    assert check(lease_client.request(method, path), status)["message"]


def test_the_api_describes_itself(lease_client):
    assert "/v1/responses" in lease_client.get("/openapi.json").json()["paths"]


def test_one_model_is_described_as_in_the_list(lease_client):
    models = lease_client.get("/v1/models").json()["data"]
    assert [lease_client.get(f"/v1/models/{model['id']}").json() for model in models] == models
    assert check(lease_client.get("/v1/models/gpt"), 404)["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unexpected_error_is_json_and_says_nothing_of_the_server(lease_server, lease_app, monkeypatch, stream):
    def broken(*args, **arguments):
        raise KeyError("/srv/secret/index.sqlite")

    monkeypatch.setattr(lease_app.state.completions.qa, "retrieve", broken)
    response = httpx.post(f"{lease_server}/v1/chat/completions", json=BODY | {"stream": stream})
    error = check(response, 500)
    assert error["type"] == "server_error"
    assert "secret" not in response.text


def test_an_unexpected_error_within_a_stream_is_an_event_and_in_the_log(lease_client, lease_app, monkeypatch, caplog):
    def broken(retrieval, **arguments):
        yield "The rent"
        raise KeyError("/srv/secret")

    monkeypatch.setattr(lease_app.state.completions.qa, "stream", broken)
    text = lease_client.post("/v1/chat/completions", json=BODY | {"stream": True}).text
    assert '"message": "Internal server error; see the log of the server."' in text.replace('":"', '": "')
    assert "secret" not in text
    assert text.endswith("data: [DONE]\n\n")
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.exc_info[0] for record in errors] == [KeyError]


def test_errors_of_the_index_name_it_without_its_folder(lease_client, lease_app, monkeypatch):
    folder = "/srv/My documents/contracts.index"

    def damaged(*args, **arguments):
        raise StoreError(f"{folder}: the index is damaged. Rebuild it with: sra-rag index check {folder}")

    monkeypatch.setattr(lease_app.state.completions.qa, "retrieve", damaged)
    message = check(lease_client.post("/v1/chat/completions", json=BODY), 400)["message"]
    assert message == ("contracts.index: the index is damaged. Rebuild it with: sra-rag index check contracts.index")


@pytest.mark.parametrize(
    ("message", "public"),
    [
        ("data/contracts.index: there is no index.", "contracts.index: there is no index."),
        ("The file '/home/me/my files/a.pdf' is damaged.", "The file 'a.pdf' is damaged."),
        ("C:\\data\\a.pdf: the file is empty.", "a.pdf: the file is empty."),
        ("cannot write /var/cache/models (disk full)", "cannot write models (disk full)"),
        ("Use http://127.0.0.1:8000/v1/models or /v1/models.", "Use http://127.0.0.1:8000/v1/models or /v1/models."),
        ("There is no model 'Qwen/Qwen3-4B'.", "There is no model 'Qwen/Qwen3-4B'."),
        ("Give and/or 1/2 of it.", "Give and/or 1/2 of it."),
        ("The folder /srv is missing.", "The folder srv is missing."),
        ("See file:///srv/data/x.", "See x."),
        ("index:/srv/data/x is damaged", "index:x is damaged"),
        ("~/indexes/contracts is damaged", "contracts is damaged"),
        ("Read ../shared/x and ./y/z.", "Read x and z."),
        ("/var/lib/our index/a b/index.sqlite3 cannot be read", "index.sqlite3 cannot be read"),
        ("\\\\server\\share\\a.pdf is locked", "a.pdf is locked"),
        ("data/contracts.index is damaged", "contracts.index is damaged"),
        ("Models/Qwen-0.5B.gguf or Qwen/Qwen2.5-0.5B", "Qwen-0.5B.gguf or Qwen/Qwen2.5-0.5B"),
        ("Run sra-rag index check /srv/a. It is in /srv/b.", "Run sra-rag index check a. It is in b."),
        ("The server is at /page/ and /mcp.", "The server is at /page/ and /mcp."),
        ("The scale is 3/4, text/plain, 10 km/h.", "The scale is 3/4, text/plain, 10 km/h."),
    ],
)
def test_paths_in_messages(message, public):
    assert without_paths(message) == public


def test_a_model_in_a_folder_is_named_without_its_path(lease_app, tmp_path, monkeypatch):
    completions = lease_app.state.completions
    folder = tmp_path / "my-model"
    folder.mkdir()
    monkeypatch.setattr(
        completions.qa.engine, "loaded", dataclasses.replace(completions.qa.engine.loaded, name=str(folder))
    )
    assert completions.models == ("sra-rag", "my-model")
