package main

import (
	"os"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	app := gin.New()
	app.Use(gin.CustomRecovery(func(c *gin.Context, _ interface{}) { c.AbortWithStatus(500) }))
	app.Use(cors.New(cors.Config{
		AllowOrigins: []string{"https://app.example"}, AllowMethods: []string{"GET", "HEAD", "POST", "PUT"},
		AllowHeaders: []string{"content-type", "x-token"}, ExposeHeaders: []string{"x-total"}, AllowCredentials: true, MaxAge: 600 * time.Second,
	}))
	items := func(c *gin.Context) { c.Header("x-total", "1"); c.JSON(200, []int{1}) }
	for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
		app.Handle(method, "/items", items)
	}
	app.GET("/broken", func(c *gin.Context) { panic("broken") })
	app.GET("/old", func(c *gin.Context) { c.Redirect(302, "/items") })
	app.Run("127.0.0.1:" + os.Args[1])
}
