import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponseRedirect, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", INSTALLED_APPS=["corsheaders"],
    MIDDLEWARE=["corsheaders.middleware.CorsMiddleware"],
    CORS_ALLOWED_ORIGINS=["https://app.example"], CORS_ALLOW_CREDENTIALS=True, CORS_PREFLIGHT_MAX_AGE=600,
    CORS_ALLOW_METHODS=["GET", "HEAD", "POST", "PUT"], CORS_ALLOW_HEADERS=["content-type", "x-token"],
    CORS_EXPOSE_HEADERS=["x-total"])

def items(request): return JsonResponse([1], safe=False, headers={"x-total": "1"})
def broken(request): raise RuntimeError("broken")
def old(request): return HttpResponseRedirect("/items")

urlpatterns = [path("items", items), path("broken", broken), path("old", old)]
execute_from_command_line(sys.argv)
