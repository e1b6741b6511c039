package main

import (
	"errors"
	"os"

	"github.com/labstack/echo"
	"github.com/labstack/echo/middleware"
)

func main() {
	app := echo.New()
	app.HideBanner = true
	app.Use(middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: []string{"https://app.example"}, AllowMethods: []string{"GET", "HEAD", "POST", "PUT"},
		AllowHeaders: []string{"content-type", "x-token"}, ExposeHeaders: []string{"x-total"}, AllowCredentials: true, MaxAge: 600,
	}))
	items := func(c echo.Context) error {
		c.Response().Header().Set("x-total", "1")
		return c.JSON(200, []int{1})
	}
	app.Match([]string{"GET", "HEAD", "POST", "PUT"}, "/items", items)
	app.GET("/broken", func(c echo.Context) error { return errors.New("broken") })
	app.GET("/old", func(c echo.Context) error { return c.Redirect(302, "/items") })
	app.Start("127.0.0.1:" + os.Args[1])
}
